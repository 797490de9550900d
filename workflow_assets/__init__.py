"""Experiments as assets: plain functions, treatments, replicates and hypotheses, compiled to Dagster.

Importing this package loads neither Dagster nor pandas; what is named here is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workflow_assets.automations import Schedule, Watch, WorkflowSchedule
    from workflow_assets.backends.clusters import Dask
    from workflow_assets.backends.processes import Processes
    from workflow_assets.backends.threads import Coroutines, Threads
    from workflow_assets.blocks import blocked
    from workflow_assets.contracts.annotations import Array, Columns, Metrics
    from workflow_assets.contracts.hints import Unit
    from workflow_assets.contrasts import compare_results
    from workflow_assets.datums import Datum
    from workflow_assets.designs import Design, factorial, fractional, sampled
    from workflow_assets.documents import from_document, to_document
    from workflow_assets.experiments import Experiment
    from workflow_assets.flags import Flag
    from workflow_assets.hooks import Hooks
    from workflow_assets.hypotheses import Hypothesis
    from workflow_assets.influences import factor_effects, variance_components
    from workflow_assets.inspections import verify
    from workflow_assets.ledgers import Ledger
    from workflow_assets.orchestration.accounts import run_document
    from workflow_assets.orchestration.buckets import s3_store
    from workflow_assets.orchestration.components import WorkflowComponent
    from workflow_assets.orchestration.definitions import to_dagster
    from workflow_assets.preregistrations import Confirmation, Preregistration
    from workflow_assets.provenance import Provenance, trace
    from workflow_assets.registries import Registry, step_schema
    from workflow_assets.replicates import Replicates, crossed, resamples, units
    from workflow_assets.reports import Report
    from workflow_assets.resources import per_worker
    from workflow_assets.results import Result
    from workflow_assets.schemas import document_schema
    from workflow_assets.scripts import to_script
    from workflow_assets.sources import Source, asset_source, source
    from workflow_assets.stats.sequences import Until
    from workflow_assets.steps import Step, step
    from workflow_assets.store.base import MemoryStore, Store
    from workflow_assets.store.contents import File
    from workflow_assets.store.files import FileStore
    from workflow_assets.store.pictures import Picture
    from workflow_assets.store.places import open_store
    from workflow_assets.store.registry import register_codec
    from workflow_assets.store.s3 import S3Store
    from workflow_assets.store.sequences import Items
    from workflow_assets.sweeps import collect_garbage, pin, pins, unpin
    from workflow_assets.top_ups import ToppedUp
    from workflow_assets.traits import Retries
    from workflow_assets.treatments import Treatment
    from workflow_assets.unions import judge_together
    from workflow_assets.verdicts import Verdict
    from workflow_assets.workflows import Workflow

_HOMES = {
    # declaring
    "step": "steps",
    "Step": "steps",
    "Registry": "registries",
    "source": "sources",
    "Source": "sources",
    "asset_source": "sources",
    "Metrics": "contracts.annotations",
    "Array": "contracts.annotations",
    "Columns": "contracts.annotations",
    "Unit": "contracts.hints",
    "Workflow": "workflows",
    "Treatment": "treatments",
    "Replicates": "replicates",
    "resamples": "replicates",
    "units": "replicates",
    "crossed": "replicates",
    "Design": "designs",
    "factorial": "designs",
    "fractional": "designs",
    "sampled": "designs",
    "blocked": "blocks",
    "Hypothesis": "hypotheses",
    "Experiment": "experiments",
    "from_document": "documents",
    "to_document": "documents",
    "document_schema": "schemas",
    "step_schema": "registries",
    "to_script": "scripts",
    "Schedule": "automations",
    "Watch": "automations",
    "WorkflowSchedule": "automations",
    # running
    "Hooks": "hooks",
    "Until": "stats.sequences",
    "per_worker": "resources",
    "Retries": "traits",
    # who executes
    "Threads": "backends.threads",
    "Coroutines": "backends.threads",
    "Processes": "backends.processes",
    "Dask": "backends.clusters",
    # results
    "Result": "results",
    "ToppedUp": "top_ups",
    "Verdict": "verdicts",
    "judge_together": "unions",
    "factor_effects": "influences",
    "variance_components": "influences",
    "Report": "reports",
    "compare_results": "contrasts",
    "Flag": "flags",
    "Confirmation": "preregistrations",
    "Preregistration": "preregistrations",
    "Ledger": "ledgers",
    "Provenance": "provenance",
    "trace": "provenance",
    # where data are kept
    "Datum": "datums",
    "Store": "store.base",
    "MemoryStore": "store.base",
    "FileStore": "store.files",
    "File": "store.contents",
    "Items": "store.sequences",
    "Picture": "store.pictures",
    "register_codec": "store.registry",
    "S3Store": "store.s3",
    "open_store": "store.places",
    "collect_garbage": "sweeps",
    "pin": "sweeps",
    "unpin": "sweeps",
    "pins": "sweeps",
    "verify": "inspections",
    # Dagster
    "s3_store": "orchestration.buckets",
    "to_dagster": "orchestration.definitions",
    "run_document": "orchestration.accounts",
    "WorkflowComponent": "orchestration.components",
}

__all__ = [
    "Array",
    "Columns",
    "Confirmation",
    "Coroutines",
    "Dask",
    "Datum",
    "Design",
    "Experiment",
    "File",
    "FileStore",
    "Flag",
    "Hooks",
    "Hypothesis",
    "Items",
    "Ledger",
    "MemoryStore",
    "Metrics",
    "Picture",
    "Preregistration",
    "Processes",
    "Provenance",
    "Registry",
    "Replicates",
    "Report",
    "Result",
    "Retries",
    "S3Store",
    "Schedule",
    "Source",
    "Step",
    "Store",
    "Threads",
    "ToppedUp",
    "Treatment",
    "Unit",
    "Until",
    "Verdict",
    "Watch",
    "WorkflowComponent",
    "WorkflowSchedule",
    "Workflow",
    "asset_source",
    "blocked",
    "collect_garbage",
    "crossed",
    "document_schema",
    "factor_effects",
    "factorial",
    "fractional",
    "from_document",
    "compare_results",
    "judge_together",
    "open_store",
    "per_worker",
    "pin",
    "pins",
    "register_codec",
    "resamples",
    "run_document",
    "s3_store",
    "sampled",
    "source",
    "step",
    "step_schema",
    "to_dagster",
    "to_document",
    "to_script",
    "trace",
    "units",
    "unpin",
    "variance_components",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'workflow_assets' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"workflow_assets.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
