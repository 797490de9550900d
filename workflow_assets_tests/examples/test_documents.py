"""What the README and the docs say is true: their code runs, and prints what they print."""

import os
import re
from pathlib import Path

import pytest

from workflow_assets_tests.forks import run_script

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {"", "python", "text"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_run_in_order_and_print_what_is_shown(document: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(document.read_text())
    assert {language for language, _ in blocks} <= SHOWN, "a kind of block that nobody checks"
    code = "\n".join(text for language, text in blocks if language == "python")
    script = tmp_path / "document.py"
    script.write_text(code)
    environment = {**os.environ, "WORKFLOW_ASSETS_HOME": str(tmp_path / "home"), "COLUMNS": "120"}
    done = run_script(script, tmp_path, environment, timeout=120)
    assert done.returncode == 0, done.stderr
    for language, text in blocks:
        if language == "text":
            assert text in done.stdout, f"{document.name} shows what is not printed; this is:\n{done.stdout}"


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, PROJECT / "CONTRIBUTING.md", *sorted((PROJECT / "deploy").glob("*/README.md"))],
    ids=lambda path: str(path.relative_to(PROJECT)),
)
def test_links_to_files_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_commands_of_the_readme_are_targets_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)\s+#", (PROJECT / "README.md").read_text())) <= targets
