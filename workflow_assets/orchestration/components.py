"""The component type for `dg`: workflows and experiments from documents, or by name from Python, in a ``defs.yaml``."""

import functools
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components.component_scaffolding import scaffold_component

from workflow_assets.automations import WorkflowSchedule
from workflow_assets.errors import DeclarationError
from workflow_assets.mappings import FrozenDict
from workflow_assets.orchestration.definitions import to_dagster
from workflow_assets.orchestration.storage import store_place
from workflow_assets.store.base import Store
from workflow_assets.store.places import open_store

STEPS = '''"""The steps that the document beside this file names by their slugs."""

from workflow_assets import Registry, step

registry = Registry()


@registry.add
@step
def evens(numbers: list[int]) -> list[int]:
    """Keep the even numbers."""
    return [one for one in numbers if one % 2 == 0]


@registry.add
@step
def total(numbers: list[int], scale: int = 1) -> int:
    """Add them up."""
    return scale * sum(numbers)
'''

DOCUMENT = """kind: workflow
version: 1
name: {name}
inputs:
  numbers:
    type: list[int]
    value: [1, 2, 3, 4]
steps:
  - id: evens
    step: evens
    arguments:
      numbers: {{from: numbers}}
  - id: total
    step: total
    arguments:
      numbers: {{from: evens}}
      scale: {{value: 1}}
"""


class WorkflowScaffolder(dg.Scaffolder[Any]):
    """Writes a workflow that runs: a document, and the steps that it names."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        """Write the files."""
        folder = request.target_path
        (folder / "documents").mkdir(exist_ok=True)
        (folder / "steps.py").write_text(STEPS, encoding="utf-8")
        document = folder / "documents" / f"{folder.name}.yaml"
        document.write_text(DOCUMENT.format(name=folder.name), encoding="utf-8")
        scaffold_component(request, {"documents": "documents", "registry": ".steps:registry"})


class ScheduleOf(dg.Model, dg.Resolvable):
    """When a workflow runs by itself, and with what: see `WorkflowSchedule`."""

    workflow: str
    cron: str
    timezone: str = "UTC"
    name: str = ""
    running: bool = True
    parameters: Mapping[str, Any] = FrozenDict()
    inputs: Mapping[str, Any] = FrozenDict()
    rows: int | dict[str, int] | None = None
    force: Sequence[str] = ()

    def schedule(self) -> WorkflowSchedule:
        """Declare it.

        Raises `DeclarationError` for times that are none.
        """
        return WorkflowSchedule(**{name: getattr(self, name) for name in type(self).model_fields})


@dg.scaffold_with(WorkflowScaffolder)
class WorkflowComponent(dg.Component, dg.Model, dg.Resolvable):
    """Workflows and experiments as assets and jobs.

    Args:
        documents: a folder of documents, or one, beside this file.
        registry: where documents find steps by their slugs, as ``module:name``; a module that begins with a dot is
            beside this file.
        members: workflows and experiments declared in Python, as ``module:name``.
        store: the place of the datum store; the one of the instance by default.
        backend: who executes the steps, unless a run says otherwise.
        workers: how many at a time.
        pool: whose slots limit how many runs there are at a time.
        schedules: when workflows run by themselves: of each its name, as `workflow`, a `cron` expression, and what
            else a `WorkflowSchedule` takes.
    """

    documents: str | None = None
    registry: str | None = None
    members: Sequence[str] = ()
    store: str | None = None
    backend: str | None = None
    workers: int | None = None
    pool: str | None = None
    schedules: Sequence[ScheduleOf] = ()

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Compile them.

        Raises `DeclarationError` for what is not where it is said to be.
        """
        return to_dagster(
            *(_found(one, context) for one in self.members),
            store=_opened(str(store_place() if self.store is None else self.store)),
            backend=self.backend,
            workers=self.workers,
            pool=self.pool,
            automations=[one.schedule() for one in self.schedules],
            documents=None if self.documents is None else _folder(context) / self.documents,
            registry=None if self.registry is None else _found(self.registry, context),
        )


@functools.cache
def _opened(place: str) -> Store:
    """Open a store once: Dagster merges the definitions of components only where they share their resources."""
    return open_store(place)


def _folder(context: dg.ComponentLoadContext) -> Path:
    return context.path.parent if context.path.is_file() else context.path


def _found(told: str, context: dg.ComponentLoadContext) -> Any:
    """Find what ``module:name`` names."""
    module, colon, name = told.partition(":")
    if not colon or not module or not name:
        raise DeclarationError("component", [f"{told!r}: expected module:name, such as .steps:registry"])
    if module.startswith("."):
        module = context.defs_relative_module_name(_folder(context)) + module
    loaded = importlib.import_module(module)
    if not hasattr(loaded, name):
        raise DeclarationError("component", [f"{told!r}: module {module!r} has no {name!r}"])
    return getattr(loaded, name)
