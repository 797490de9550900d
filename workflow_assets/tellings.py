"""Tellings: what views show, of steps and workflows as they are declared."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from workflow_assets.contracts.checkers import describe
from workflow_assets.layouts import clipped, one_line
from workflow_assets.previews import preview, told
from workflow_assets.scenes import Card, Stage, Start, Story

_UNSAID = inspect.Parameter.empty
_VALUE = 40


def hint_text(hint: Any) -> str:
    """Write a type as the user did; "" where none was declared."""
    if hint is _UNSAID:
        return ""
    try:
        return clipped(one_line(describe(hint)), 80)
    except Exception:  # noqa: BLE001 - whatever an annotation's own methods raise
        return type(hint).__qualname__


def card_of(step: Any) -> Card:
    """Tell a step as a function."""
    takes, values = [], []
    for one in step.parameters.values():
        kind = hint_text(one.annotation)
        if one.default is _UNSAID:
            takes.append((one.name, kind))
        else:
            values.append((f"{one.name}{': ' if kind else ''}{kind}", told(one.default, _VALUE)))
    traits = []
    if step.slug != step.name:
        traits.append(("slug", step.slug))
    if step.version:
        traits.append(("version", step.version))
    if step.given:
        traits.append(("given by the engine", ", ".join(sorted(step.given))))
    traits += [(name, "yes") for name in ("transient", "legacy_rng") if getattr(step, name)]
    if not step.memo:
        traits.append(("memo", "no: it runs every time"))
    if step.retries.times:
        traits.append(("retries", str(step.retries.times)))
    if step.timeout:
        traits.append(("timeout", f"{step.timeout:g} s"))
    traits += [(f"tag {name}", text) for name, text in step.tags.items()]
    return Card(
        step.name,
        _signature(step),
        tuple(takes),
        tuple(values),
        hint_text(step.returns),
        step.description,
        _source(step.function),
        tuple(traits),
    )


def _signature(step: Any) -> str:
    parts = []
    for name, one in inspect.signature(step.function).parameters.items():
        known = step.parameters.get(name)
        kind = hint_text(known.annotation) if known is not None else ""
        default = "" if one.default is _UNSAID else told(one.default, _VALUE)
        equals = f" = {default}" if kind else f"={default}"
        parts.append(f"{name}{': ' if kind else ''}{kind}{equals if default else ''}")
    gives = hint_text(step.returns)
    return f"{step.name}({', '.join(parts)}){' → ' if gives else ''}{gives}"


def _source(function: Any) -> str:
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # written in no file
        return ""


def story_of(
    workflow: Any,
    states: Mapping[str, str] | None = None,
    status: str = "",
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Story:
    """Tell a workflow.

    Args:
        workflow: a composition.
        states: of each step, if it was run.
        status: of the whole, if it was run.
        more: what else is known of each step: fields of `Stage`.
    """
    wired = workflow.wired
    stages = []
    for node in wired:
        handed = {name: _handed(node, name) for name in node.step.parameters if _is_wired(node, name)}
        stages.append(
            Stage(
                id=node.slot,
                function=node.step.slug,
                inputs=handed,
                follows=tuple(dict.fromkeys(node.inputs.values())),
                values={
                    name: told(value, _VALUE)
                    for name, value in node.settings.items()
                    if name in node.step.parameters
                },
                gives=hint_text(node.step.gives),
                status=(states or {}).get(node.slot, "pending"),
                **(more or {}).get(node.slot, {}),
            )
        )
    return Story(
        workflow.name,
        tuple(_starts(workflow)),
        tuple(stages),
        workflow.description,
        status,
        dict(getattr(workflow, "groups", None) or {}),
    )


def _starts(workflow: Any) -> Iterable[Start]:
    for name, one in workflow.inputs.items():
        if one.is_empty:
            yield Start(name, hint_text(one.returns))
        else:
            seen = getattr(one.value, "seen", None)  # a datum tells itself
            look = seen.preview if seen is not None else preview(one.value)
            yield Start(name, hint_text(one.returns) or look.type, look.line)
    for name, one in workflow.wired.sources.items():
        if name not in workflow.inputs:
            yield Start(name, hint_text(one.returns))


def _is_wired(node: Any, name: str) -> bool:
    return name in node.inputs or name in node.templates


def _handed(node: Any, name: str) -> str:
    template = node.templates.get(name)
    return node.inputs[name] if template is None else clipped(_template(template, node), 80)


def _template(template: Any, node: Any) -> str:
    if isinstance(template, Mapping):
        return f"{{{', '.join(f'{key}: {_template(inner, node)}' for key, inner in template.items())}}}"
    if isinstance(template, list):
        return f"[{', '.join(_template(inner, node) for inner in template)}]"
    if template.place in node.inputs:
        return f"{node.inputs[template.place]}{f'.{template.output}' if template.output else ''}"
    return told(node.settings.get(template.place), _VALUE)
