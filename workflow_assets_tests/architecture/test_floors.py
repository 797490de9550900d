"""The architecture, held to by machine: floors, light imports, one table of contents, small modules."""

import ast
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

import workflow_assets

PACKAGE = Path(workflow_assets.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

# Loading any of them takes longer than declaring an experiment.
HEAVY = frozenset({"dagster", "matplotlib", "numpy", "pandas", "pyarrow", "scipy"})

DECLARING_FLOOR = (
    "alterations",
    "arguments",
    "automations",
    "blocks",
    "calls",
    "canonical",
    "code",
    "composers",
    "compositions",
    "contracts",
    "declarations",
    "designs",
    "errors",
    "experiments",
    "factors",
    "faults",
    "fingerprint",
    "functions",
    "hypotheses",
    "levels",
    "mappings",
    "modules",
    "names",
    "recordings",
    "registries",
    "replicates",
    "samples",
    "sources",
    "steps",
    "treatments",
    "wirings",
    "workflows",
)
DECLARING = [
    path for path in MODULES if path.relative_to(PACKAGE).with_suffix("").parts[0] in DECLARING_FLOOR
]

# The doors import from the package's front, as a user does.
DOORS = ("definitions", "examples")
INSIDE = [
    path for path in MODULES if path.relative_to(PACKAGE).with_suffix("").parts[0] not in ("__init__", *DOORS)
]

LONGEST_MODULE = 600
UNCOUNTABLE = frozenset({"canonical", "cli", "code", "fingerprint", "provenance", "syntax"})


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def executed_imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Give the imports that loading a module executes: not those in functions, nor those for type checkers."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child
        elif isinstance(child, ast.If) and is_type_checking(child.test):
            yield from executed_imports(ast.Module(child.orelse, type_ignores=[]))
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from executed_imports(child)


def imported_packages(node: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {(node.module or "").partition(".")[0]}


def run_python(code: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_imports_go_downwards_only(monkeypatch, capsys):
    """The contracts in pyproject.toml hold."""
    monkeypatch.chdir(ROOT)
    # It would turn off all loggers that are there.
    monkeypatch.setattr("logging.config.dictConfig", lambda settings: None)
    status = lint_imports(config_filename="pyproject.toml", no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", DECLARING, ids=name_of)
def test_declaring_needs_the_standard_library_and_pydantic_only(path):
    """No module of the declaring floor loads a heavy library when it is imported."""
    imports = executed_imports(parsed(path))
    assert HEAVY.isdisjoint(package for node in imports for package in imported_packages(node))


@pytest.mark.parametrize(
    "statement",
    [
        "import workflow_assets",
        "from workflow_assets import Experiment, Hypothesis, Metrics, Treatment, source, step",
    ],
)
def test_importing_is_cheap(statement):
    """Neither the package nor what an experiment is declared with loads a heavy library, by whatever way."""
    loaded = run_python(f"{statement}; import sys; print(*sorted({set(HEAVY)!r} & set(sys.modules)))")
    assert loaded.split() == []


def test_the_package_root_is_a_table_of_contents():
    """`__init__` defines nothing of its own."""
    defined = [
        node.name
        for node in parsed(PACKAGE / "__init__.py").body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert set(defined) <= {"__getattr__", "__dir__"}


def test_the_table_of_contents_is_complete():
    """Each name in `__all__` can be had, once, and `dir` tells the same names."""
    names = workflow_assets.__all__
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(workflow_assets, name)] == []
    told = {
        name
        for name in dir(workflow_assets)
        if not name.startswith("_") and not isinstance(getattr(workflow_assets, name), types.ModuleType)
    }
    assert told == {name for name in names if not name.startswith("_")}


def test_no_public_name_is_also_a_module():
    """`workflow_assets.step` is a function whatever was imported before."""
    modules = {path.stem if path.stem != "__init__" else path.parent.name for path in PACKAGE.glob("*.py")}
    modules |= {path.name for path in PACKAGE.iterdir() if path.is_dir()}
    assert modules.isdisjoint(workflow_assets.__all__)


@pytest.mark.parametrize("path", INSIDE, ids=name_of)
def test_the_inside_never_imports_the_front(path):
    """Inside the package, a name is imported from the module that defines it."""
    from_the_front = [
        alias.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and node.module == "workflow_assets"
        for alias in node.names
        if not (PACKAGE / alias.name).is_dir() and not (PACKAGE / f"{alias.name}.py").exists()
    ]
    assert from_the_front == []


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_one_reason_to_change(path):
    """A module past the limit wants splitting."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


def test_folders_are_one_level_deep():
    """A module is found by one name, or by a folder's and its own."""
    assert [name_of(path) for path in MODULES if len(path.relative_to(PACKAGE).parts) > 2] == []


def test_module_names_are_plural():
    """The callable `step` lives in the module `steps`."""
    names = [path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"]
    assert [name for name in names if not name.endswith("s") and name not in UNCOUNTABLE] == []


def test_annotations_are_real_where_dagster_reads_them():
    """Dagster inspects `context`, configuration and resources by annotation, which postponing turns into text."""
    modules = sorted((PACKAGE / "orchestration").glob("*.py"))
    assert modules
    postponing = [
        name_of(path)
        for path in modules
        for node in parsed(path).body
        if isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and "annotations" in {alias.name for alias in node.names}
    ]
    assert postponing == []
