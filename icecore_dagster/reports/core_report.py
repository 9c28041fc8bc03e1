"""The report of one core: gathers its stored results and keeps the page. What it looks like is in `page.py`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from icecore_dagster import __version__
from icecore_dagster.particles.intake.crops import read_crops
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import (
    ANOMALY_RANKING,
    CLASS_DISTRIBUTION,
    SEGMENT_ANOMALY_SCORES,
    SEGMENT_CROPS,
    SEGMENT_EMBEDDING,
    SEGMENT_PREDICTIONS,
    SEGMENT_REJECTS,
    SEGMENT_RUNS,
)
from icecore_dagster.particles.tables.store import atomic_file, count_rows, read_note, read_table, stream_table
from icecore_dagster.reports.figures.gallery import contact_sheet
from icecore_dagster.reports.figures.maps import map_by_anomaly, map_by_class
from icecore_dagster.reports.figures.particles import SIZE_COLUMNS, class_distribution_figure, size_distributions
from icecore_dagster.reports.page import CANDIDATES_SHOWN, CoreContent, render_core_page
from icecore_dagster.reports.wording import UNKNOWN, depth_range, number
from icecore_dagster.scoring.core.rollup import core_table, scored_segments

LABELLED_MAP = "synthetic_umap"
_SHEET_PARTICLES = 24
_MODEL_NAMES = {
    "network": "image network",
    "trees": "LightGBM",
    "forest": "isolation forest",
    "map": "map",
    "autoencoder": "autoencoder",
}


class CoreNotRankedError(ValueError):
    """The class distribution or the ranking of the core is not there yet."""


@dataclass(frozen=True)
class CoreReport:
    """A report that was written.

    Attributes:
        address: where the page is.
        sheet: PNG of the first candidates.
        facts: headline numbers.
        candidates: the first of the ranking, as shown on the page.
    """

    address: UPath | Path
    sheet: bytes
    facts: dict[str, object]
    candidates: pd.DataFrame


def write_core_report(lab: Laboratory, core: str, output: Path | None = None) -> CoreReport:
    """Gather the stored results of a core and write its page, whole or not at all.

    Args:
        lab: the laboratory.
        core: such as GRIP_3046.
        output: where to; `reports/<core>.html` in the store unless given.

    Returns:
        Where the page is, and what is worth showing beside it.

    Raises:
        CoreNotScoredError: no segment of the core has been scored.
        CoreNotRankedError: the class distribution or the ranking is missing.
    """
    content = gather_core(lab, core)
    address: UPath | Path = output if output is not None else lab.store.report(f"{core}.html")
    with atomic_file(address) as path:
        path.write_text(render_core_page(content), encoding="utf-8")
    facts: dict[str, object] = {
        "segments": int(content.runs["segment"].nunique()),
        "runs": len(content.runs),
        "particles": content.ranked,
        "rows refused": len(content.rejects),
        "candidates shown": len(content.candidates),
    }
    sheet = contact_sheet(content.candidates.head(_SHEET_PARTICLES), content.crops)
    return CoreReport(address, sheet, facts, content.candidates)


def first_crops(lab: Laboratory, core: str, particles: pd.DataFrame) -> dict[str, np.ndarray]:
    """The crops of a few particles of a core.

    Args:
        lab: the laboratory.
        core: such as GRIP_3046.
        particles: particle_id and segment, one row a particle.

    Returns:
        uint8 (h, w) by particle id; particles without a crop are absent.
    """
    crops: dict[str, np.ndarray] = {}
    for segment, of_segment in particles.groupby("segment"):
        source = lab.store.table(SEGMENT_CROPS.name, core, str(segment))
        if source.exists():
            crops |= read_crops(source, of_segment["particle_id"])
    return crops


def gather_core(lab: Laboratory, core: str) -> CoreContent:
    """Read everything that the page of a core shows.

    Raises:
        CoreNotScoredError, CoreNotRankedError: as `write_core_report`.
    """
    runs = core_table(lab, SEGMENT_RUNS.name, core)
    addresses = {table.name: lab.store.table(table.name, core) for table in (CLASS_DISTRIBUTION, ANOMALY_RANKING)}
    for name, address in addresses.items():
        if not address.exists():
            raise CoreNotRankedError(f"{address} is not there: materialise {name} of {core} first")
    distribution = read_table(addresses[CLASS_DISTRIBUTION.name])
    ranking = addresses[ANOMALY_RANKING.name]
    first = next(stream_table(ranking, rows=CANDIDATES_SHOWN), ANOMALY_RANKING.empty())
    return CoreContent(
        core=core,
        runs=runs,
        distribution=distribution,
        candidates=first,
        ranked=count_rows(ranking),
        crops=first_crops(lab, core, first),
        rejects=core_table(lab, SEGMENT_REJECTS.name, core),
        figures=_figures(lab, core, distribution),
        provenance=_provenance(lab, core, runs),
    )


def _figures(lab: Laboratory, core: str, distribution: pd.DataFrame) -> dict[str, bytes]:
    """The figures that the stored tables allow."""
    figures = {"distribution": class_distribution_figure(distribution)}
    ranking = lab.store.table(ANOMALY_RANKING.name, core)
    figures["sizes"] = size_distributions(read_table(ranking, ["predicted_class", *SIZE_COLUMNS]), by="predicted_class")
    if not all(lab.store.table(SEGMENT_EMBEDDING.name, core, s).exists() for s in scored_segments(lab, core)):
        return figures
    points = _on_map(
        read_table(ranking, ["particle_id", "predicted_class", "anomaly_score"]),
        core_table(lab, SEGMENT_EMBEDDING.name, core, ["particle_id", "map_x", "map_y"]),
    )
    labelled = lab.store.table(LABELLED_MAP)
    reference = read_table(labelled, ["map_x", "map_y"]) if labelled.exists() else None
    if points["map_x"].notna().any():
        figures["map_by_class"] = map_by_class(points, reference)
        figures["map_by_anomaly"] = map_by_anomaly(points, reference)
    return figures


def _on_map(ranked: pd.DataFrame, places: pd.DataFrame) -> pd.DataFrame:
    """class, anomaly_score, map_x and map_y of ranked particles; pandas' own merge of a million ids takes 0.5 GB."""
    found = pc.index_in(pa.array(ranked["particle_id"]), value_set=pa.array(places["particle_id"]))
    placed, at = found.is_valid().to_numpy(zero_copy_only=False), found.drop_null().to_numpy()
    points = ranked.loc[placed, ["predicted_class", "anomaly_score"]].rename(columns={"predicted_class": "class"})
    return points.assign(**{name: places[name].to_numpy()[at] for name in ("map_x", "map_y")})


def _provenance(lab: Laboratory, core: str, runs: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What the page was made from: models, software, calibration, rules; by heading."""
    calibrations = sorted({f"{number(k, 4)} µm/px" for k in runs["calibration_um_per_px"].dropna()})
    instrument = sorted({str(v) for v in runs["software_version"].dropna()})
    return {
        **_models(lab, core),
        "Made with": {
            "icecore-dagster": __version__,
            "VisualSpreadsheet": ", ".join(instrument) or UNKNOWN,
            "Calibration": ", ".join(calibrations) or UNKNOWN,
            "Written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        },
        "Rules": {
            "Predicted class": "the highest probability, mean of the models that could score the particle",
            "Interest": "1 − probability of dust − probability of contamination",
            "Anomaly score": "isolation forest grown on laboratory dust; more negative is more anomalous",
            "Dust as anomalous": "share of held-out laboratory dust at least as anomalous as the particle",
            "Reconstruction error": "autoencoder trained on laboratory dust; larger is more anomalous",
            "Rank score": "log-odds of interest + log(1 / share of the core's particles at least as odd among them)",
            "Intervals": "95 % Poisson (Garwood); replicates compared by chi-square",
        },
    }


def _models(lab: Laboratory, core: str) -> dict[str, dict[str, str]]:
    """The models that scored the core's segments, and a warning where segments were scored by different ones."""
    scored: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for segment in scored_segments(lab, core):
        models: dict[str, str] = {}
        for table in (SEGMENT_PREDICTIONS, SEGMENT_ANOMALY_SCORES):
            noted = read_note(lab.store.table(table.name, core, segment)).get("models")
            models |= noted if isinstance(noted, dict) else {}
        scored.setdefault(tuple(sorted(models.items())), []).append(segment)
    if len(scored) == 1:
        return {"Models": _named(next(iter(scored)))}
    return {
        f"Models of {', '.join(map(depth_range, segments))} (segments were scored by different models)": _named(models)
        for models, segments in scored.items()
    }


def _named(models: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {_MODEL_NAMES.get(kind, kind): version for kind, version in models} or {"Models": UNKNOWN}
