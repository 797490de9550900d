"""The server that the stores in buckets are tested on."""

from collections.abc import Iterator

import pytest

from workflow_assets_tests.conformance.buckets import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 server, one for all tests of this process."""
    with serving(tmp_path_factory.mktemp("s3")) as running:
        yield running
