"""Code versions of assets: they change exactly when what an asset holds would be computed anew.

An asset's version covers its step under every treatment (code, parameters, wiring, swapped steps) and all that it
depends on, so that Dagster calls stale what a run would change, and nothing else.
"""

from functools import cached_property

from workflow_assets.canonical import digest, parameter_form
from workflow_assets.declarations import Declaration
from workflow_assets.errors import UnkeyableError
from workflow_assets.fingerprint import Fingerprint, code_form
from workflow_assets.sources import Given, Source
from workflow_assets.wirings import WiredSteps


class CodeVersions:
    """The code version of each asset of an experiment, as its code is now."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self._prints: dict[int, Fingerprint] = declaration.fingerprints()

    def source(self, source: Source[object]) -> str:
        """Give a source's version: its loader and the version that it declares, or the value of an input."""
        if isinstance(source, Given) and not source.is_empty:
            try:
                return digest("input", parameter_form(source.value, source.name, code_form))
            except UnkeyableError:
                return "content"
        return digest(self._prints[id(source)].digest, source.version or "content")

    def fingerprint(self, slot: str) -> str:
        """Give the fingerprint of the baseline's step in a slot."""
        return self._prints[id(self.declaration.workflow.nodes[slot].step)].digest

    @cached_property
    def slots(self) -> dict[str, str]:
        """The version of each slot."""
        variants: dict[str, set[str]] = {}
        for treatment, workflow in self.declaration.workflows.items():
            for slot, version in self._workflow(treatment, workflow).items():
                variants.setdefault(slot, set()).add(version)
        return {slot: digest(*sorted(versions)) for slot, versions in variants.items()}

    def _workflow(self, treatment: str, workflow: WiredSteps) -> dict[str, str]:
        versions = {name: self.source(source) for name, source in workflow.sources.items()}
        for node in workflow:
            step = node.step
            parts = [self._prints[id(step)].digest, step.stream or node.slot]
            parts += [f"{name}={form}" for name, form in sorted(node.forms.items())]
            parts += [
                f"{name}<{versions[provider]} {node.outputs.get(name, '')}".rstrip()
                for name, provider in sorted(node.inputs.items())
            ]
            if step.over:
                parts.append(f"each {step.combine} of {', '.join(step.over)}")
            if step.random:
                parts.append(f"seed {self.declaration.seed} {step.legacy_rng}")
            if "treatment" in step.given:
                parts.append(f"treatment {treatment}")
            versions[node.slot] = digest(*parts)
        return {slot: versions[slot] for slot in workflow.nodes}

    @cached_property
    def results(self) -> str:
        """The version of the results: the whole declaration."""
        return self.declaration.version()
