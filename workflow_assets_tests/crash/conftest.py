"""The places that runs are killed in, and meet in."""

from pathlib import Path
from typing import Any

import pytest

from workflow_assets_tests.conformance.buckets import OPTIONS, unique_place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Where runs keep their data: a folder or a bucket."""
    if request.param == "folder":
        return {"folder": str(tmp_path / "store")}
    server = request.getfixturevalue("server")
    return {"place": unique_place(), "endpoint_url": server.url, "options": OPTIONS}
