"""Families that span experiments: an asset for each, with the verdicts adjusted over the whole of it as checks."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import dagster as dg
import pandas as pd

from workflow_assets.canonical import digest
from workflow_assets.errors import listing
from workflow_assets.experiments import Experiment
from workflow_assets.hypotheses import Hypothesis
from workflow_assets.orchestration.checks import claim_spec, evaluated, gate_reasons
from workflow_assets.orchestration.io_managers import DATUMS
from workflow_assets.orchestration.keys import (
    FAMILIES,
    claim_name,
    family_job_name,
    family_key,
    results_key,
    source_key,
)
from workflow_assets.orchestration.pools import told_tags
from workflow_assets.orchestration.tables import put_table, stored_result
from workflow_assets.sources import AssetSource
from workflow_assets.store.base import Store
from workflow_assets.unions import judge_together, spanning, union_faults
from workflow_assets.verdicts import Verdict


def family_assets(family: str, sharing: Mapping[str, Experiment], store: Store) -> dg.AssetsDefinition:
    """Compile a family that spans experiments: an asset downstream of their results, with a check on each claim.

    It judges what the results hold, and computes no cell. Materialised by itself, it needs them to be there.
    """
    key = family_key(family)
    claims = _claims(family, sharing)
    method = next(iter(sharing.values())).families[family]
    told = f"Adjusted over all {len(claims)} claims of family {family!r}, of {listing(sharing)}."
    spec = dg.AssetSpec(
        key,
        deps=[results_key(name) for name in sharing],
        description=f"The verdicts on the claims of family {family!r}, which spans {listing(sharing)}, adjusted over "
        f"all of it by {method!r}.\n\nA table with a row for every claim; materialising it computes no cell.",
        code_version=digest(method, *(f"{check} {one.identity()}" for check, (_, one) in claims.items())),
        kinds={"python", "table"},
        group_name=FAMILIES,
        metadata={"claims": len(claims), "method": method},
        automation_condition=dg.AutomationCondition.eager(),  # obeyed where its sensor is switched on
    ).with_io_manager_key(DATUMS)

    @dg.multi_asset(
        specs=[spec],
        check_specs=[
            claim_spec(key, check, one, f"{told} Of the experiment {name}.")
            for check, (name, one) in claims.items()
        ],
        name=f"{FAMILIES}__{key.path[-1]}",
        can_subset=True,
    )
    def judge_family(context: dg.AssetExecutionContext) -> Iterator[Any]:
        keys, results = {}, {}
        for name, experiment in sharing.items():
            keys[name], results[name] = stored_result(experiment, store)
        verdicts = judge_together(results.values())
        mine = {check: verdicts[name, one.name] for check, (name, one) in claims.items()}
        if key in context.selected_asset_keys:
            table = _table(claims, mine)
            asset = (FAMILIES, key.path[-1])
            record = put_table(asset, (FAMILIES, family), table, store, context.run.run_id, lambda _: keys)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "key": record.key,
                    "dagster/row_count": len(table),
                    "method": method,
                    "verdicts": dg.MetadataValue.md(_markdown(table)),
                },
                data_version=dg.DataVersion(record.key),
            )
        checks = [check.name for check in context.selected_asset_check_keys]
        for check in checks:
            yield evaluated(key, check, results[claims[check][0]], mine[check])
        if reasons := gate_reasons(mine, checks):
            raise dg.Failure("\n".join(reasons), allow_retries=False)

    return judge_family


def family_job(
    family: str,
    sharing: Mapping[str, Experiment],
    needs: Mapping[str, Any],
    configs: Mapping[str, Mapping[str, Any]],
) -> Any:
    """Compile the job of a family: its experiments with their sources, and then the verdicts over all of it.

    Experiments are run as by their own jobs: `configs` has the run configuration of each.
    """
    ops = {op: config for name in sharing for op, config in configs[name].get("ops", {}).items()}
    sources = {
        source_key(source): None
        for experiment in sharing.values()
        for source in experiment.sources.values()
        if not isinstance(source, AssetSource)
    }
    return dg.define_asset_job(
        family_job_name(family),
        selection=dg.AssetSelection.assets(family_key(family), *map(results_key, sharing), *sources),
        description=f"Run {listing(sharing)}, and judge the claims of family {family!r} over all of them.",
        tags=told_tags(needs),
        config={"ops": ops} if ops else {},
    )


def family_faults(experiments: Mapping[str, Experiment], taken: Collection[str]) -> list[str]:
    """Say which families that span experiments cannot be one, or would have the name of something else.

    `taken` are the names of all experiments and confirmations.
    """
    faults = union_faults(experiments.values())
    known: dict[str, str] = {}
    for family, sharing in spanning(experiments.values()).items():
        where = f"family {family!r}, which spans {listing(sharing)},"
        path = family_key(family).to_user_string()
        other = known.setdefault(path, family)
        if other != family:
            faults.append(f"{where} and family {other!r} would both be the asset {path}: rename one of them")
        for name in taken:
            if name in (FAMILIES, family_job_name(family)):
                faults.append(f"{where} needs the name {name!r} in Dagster: give what is called so another")
        names = [
            claim_name(name, one.name)
            for name, experiment in sharing.items()
            for one in experiment.hypotheses
            if one.family == family
        ]
        faults += [
            f"{where} has two claims whose check would be called {name!r}: rename one of the hypotheses"
            for name in dict.fromkeys(names)
            if names.count(name) > 1
        ]
    return faults


def _claims(family: str, sharing: Mapping[str, Experiment]) -> dict[str, tuple[str, Hypothesis]]:
    """Give the claims of a family, each with its experiment's name, by the names of their checks."""
    return {
        claim_name(name, one.name): (name, one)
        for name, experiment in sharing.items()
        for one in experiment.hypotheses
        if one.family == family
    }


def _table(claims: Mapping[str, tuple[str, Hypothesis]], verdicts: Mapping[str, Verdict]) -> pd.DataFrame:
    rows = [
        {
            "experiment": claims[check][0],
            "hypothesis": verdict.hypothesis.name,
            "decision": verdict.decision,
            "p": verdict.p,
            "p_adjusted": verdict.p_adjusted,
            "estimate": None if verdict.effect is None else verdict.effect.estimate,
            "low": None if verdict.interval is None else verdict.interval[0],
            "high": None if verdict.interval is None else verdict.interval[1],
        }
        for check, verdict in verdicts.items()
    ]
    return pd.DataFrame(rows).astype(dict.fromkeys(_NUMBERS, "float64"))


_NUMBERS = ("p", "p_adjusted", "estimate", "low", "high")


def _markdown(table: pd.DataFrame) -> str:
    lines = [f"| {' | '.join(table.columns)} |", f"|{' --- |' * len(table.columns)}"]
    for row in table.itertuples(index=False):
        cells = [f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
