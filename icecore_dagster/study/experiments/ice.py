"""The ice: read, scored and ranked; what is predicted in it, and what stands first."""

from collections.abc import Iterator

import pandas as pd
from tqdm import tqdm

from icecore_dagster.flowcam.landing import RunNameError, find_runs, parse_run_name
from icecore_dagster.particles.intake.cells import pack_segment, read_segment
from icecore_dagster.particles.labels import BACKGROUND_LABELS, TASKS
from icecore_dagster.particles.tables.schemas import ANOMALY_RANKING
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster.reports.core_report import write_core_report
from icecore_dagster.scoring.core.rollup import keep_class_distribution, keep_ranking
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK
from icecore_dagster.scoring.segments import score_segment
from icecore_dagster.simulation.laboratory import simulate_ice
from icecore_dagster.study.bench import IMPORTED, Bench
from icecore_dagster.study.measurement import Measurement

ICE, FIRST = "ice", 20
PROMISES = ("ice.particles", "ice.cores", "anomalies.shown")
_SHOWN = 6
"""The study shows six interesting anomalies."""


def ice_cores(bench: Bench) -> Iterator[Measurement]:
    """Score every segment of ice, count what is predicted, rank, and report each core."""
    if not cells(bench) and bench.data != IMPORTED:
        _draw(bench)
    rankings, distributions = {}, {}
    for core, segment in tqdm(cells(bench), desc="ice", unit="segment"):
        read_segment(bench.lab, core, segment)
        pack_segment(bench.lab, core, segment)
        score_segment(bench.lab, core, segment, task=DEFAULT_TASK, architecture=DEFAULT_ARCHITECTURE)
    for core in sorted({core for core, _ in cells(bench)}):
        distributions[core] = keep_class_distribution(bench.lab, core, DEFAULT_TASK)
        keep_ranking(bench.lab, core)
        rankings[core] = read_table(bench.lab.store.table(ANOMALY_RANKING.name, core), ["particle_id", "rank_score"])
        write_core_report(bench.lab, core)
    if not rankings:
        raise ValueError(f"no ice in {bench.lab.landing}: put runs named <core>_<from>_<to>_<replicate> there")
    every = pd.concat(rankings.values(), ignore_index=True)
    yield Measurement("ice.particles", "", ICE, "particles scored", len(every), n=len(every))
    yield Measurement("ice.cores", "", ICE, "cores", len(rankings), n=len(every))
    yield from _predicted(distributions)
    first = every.sort_values("rank_score", ascending=False).head(_SHOWN)
    yield Measurement(
        "anomalies.shown",
        DEFAULT_TASK,
        "ranking",
        "first anomalies of all cores",
        len(first),
        n=len(every),
        note=", ".join(first["particle_id"]),
    )
    yield from _found(bench, rankings)


def cells(bench: Bench) -> list[tuple[str, str]]:
    """Core and segment of every run in the landing folder, each once; names that say neither are left out."""
    found = set()
    for source in find_runs(bench.lab.landing):
        try:
            name = parse_run_name(source.name)
        except RunNameError:
            continue
        found.add((name.core, name.segment))
    return sorted(found)


def _draw(bench: Bench) -> None:
    size = bench.size
    simulate_ice(
        bench.lab.landing,
        truth_folder=bench.lab.truth,
        cores=size.cores,
        segments=size.segments,
        replicates=2,
        particles_per_run=size.per_run,
        seed=size.seed,
    )


def _predicted(distributions: dict[str, pd.DataFrame]) -> Iterator[Measurement]:
    """Share of each predicted class, all cores and by core; segments and replicates are on the cores' pages."""
    pooled = pd.concat([table[table["replicate"].isna()].assign(core=core) for core, table in distributions.items()])
    for name in TASKS[DEFAULT_TASK].classes:
        of_class = pooled[pooled["class"] == name].groupby("core")["count"].sum()
        total = pooled.groupby("core")["count"].sum()
        shares = ", ".join(f"{core} {of_class.get(core, 0) / n:.2%}" for core, n in total.items())
        yield Measurement(
            f"ice.predicted.{name}",
            DEFAULT_TASK,
            "network and LightGBM",
            f"share of ice predicted {name}",
            float(of_class.sum() / total.sum()),
            n=int(total.sum()),
            note=shares,
        )


def _found(bench: Bench, rankings: dict[str, pd.DataFrame]) -> Iterator[Measurement]:
    """For drawn ice: how many of the particles worth finding are among the first of each core."""
    found = wanted = 0
    for core, ranking in rankings.items():
        files = sorted(bench.lab.truth.glob(f"{core}_*.parquet"))
        if not files:
            return
        truth = pd.concat([pd.read_parquet(file, columns=["run", "particle_number", "label"]) for file in files])
        rare = truth[~truth["label"].isin(BACKGROUND_LABELS)]
        ids = set(rare["run"].astype(str) + "_" + rare["particle_number"].astype(str))
        found += int(ranking.head(FIRST)["particle_id"].isin(ids).sum())
        wanted += min(len(ids), FIRST)
    if wanted:
        yield Measurement(
            "ice.found_first",
            DEFAULT_TASK,
            "ranking",
            f"share of true finds among the first {FIRST} of each core",
            found / wanted,
            n=wanted,
            note="tephra, pollen and what no class covers, in ice at natural rarity",
        )
