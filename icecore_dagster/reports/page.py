"""The page of one core: turns tables, crops and figures into one self-contained HTML document. Reads no files."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from icecore_dagster.reports.figures.drawing import (
    class_colour,
    class_title,
    ordered_classes,
    property_title,
    short_class_title,
)
from icecore_dagster.reports.figures.gallery import scale_bar
from icecore_dagster.reports.wording import (
    chance,
    count,
    depth_range,
    interval,
    is_known,
    moment,
    number,
    share,
    size,
    text,
    volume,
)
from icecore_dagster.scoring.core.rollup import depth_of

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATE = "core.html.j2"
CANDIDATES_SHOWN = 60
REJECTS_SHOWN = 60
_CROP_BOX_PX = 150
_LARGEST_ENLARGEMENT = 4.0
_DOUBTFUL_P = 0.01
"""Replicates that chance makes differ this seldom are pointed out."""

_SIZES = ("diameter_esd_um", "diameter_abd_um", "diameter_fd_um", "length_um", "width_um")


@dataclass(frozen=True)
class CoreContent:
    """Everything that the page of a core shows.

    Attributes:
        core: the core's name.
        runs: `segment_runs` of all segments.
        distribution: `class_distribution`.
        candidates: the first rows of `anomaly_ranking`, in its order.
        ranked: particles in the whole ranking.
        crops: crop of each candidate by particle id, uint8 (h, w); absent where there is none.
        rejects: `segment_rejects` of all segments.
        figures: PNG by name: distribution, sizes, map_by_class, map_by_anomaly; those that are absent are left out.
        provenance: what the page was made from, by heading.
    """

    core: str
    runs: pd.DataFrame
    distribution: pd.DataFrame
    candidates: pd.DataFrame
    ranked: int
    crops: Mapping[str, np.ndarray]
    rejects: pd.DataFrame
    figures: Mapping[str, bytes] = field(default_factory=dict)
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def environment() -> "Environment":
    """Where the product's pages are made: all text is escaped, and a name that is not given is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("icecore_dagster.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_core_page(content: CoreContent) -> str:
    """The page as HTML: every image inside it, nothing fetched, all text from files escaped.

    Args:
        content: what it shows.

    Returns:
        An HTML document.
    """
    classes = ordered_classes(content.distribution["class"])
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            core=content.core,
            facts=_facts(content),
            classes=[{"title": class_title(key), "colour": class_colour(key)} for key in classes],
            distribution=_distribution_rows(content.distribution, classes),
            volume_known=bool(len(content.distribution))
            and bool(content.distribution["volume_imaged_ml"].notna().all()),
            figures={name: data_uri(png) for name, png in content.figures.items()},
            cards=[_card(row, content.crops.get(str(row["particle_id"]))) for _, row in content.candidates.iterrows()],
            ranked=count(content.ranked),
            reasons=_reasons(content.rejects),
            rejects=_rejects(content.rejects),
            rejects_total=len(content.rejects),
            runs=[_run(row) for _, row in content.runs.iterrows()],
            provenance=content.provenance,
        )
    )


def _facts(content: CoreContent) -> list[tuple[str, list[str]]]:
    """The headline numbers of a core: a name and its values."""
    runs = content.runs
    volumes = runs["volume_imaged_ml"]
    known = int(volumes.notna().sum())
    imaged = volume(volumes.sum() if known else None)
    if 0 < known < len(runs):
        imaged += f" in {known} of {len(runs)} runs"
    return [
        ("Segments", [depth_range(segment) for segment in sorted(runs["segment"].unique(), key=depth_of)]),
        ("Replicates", [str(replicate) for replicate in sorted(runs["replicate"].unique())]),
        ("Runs", [count(len(runs))]),
        ("Particles", [count(runs["rows_kept"].sum())]),
        ("Rows refused", [count(runs["rows_refused"].sum())]),
        ("Volume imaged", [imaged]),
    ]


def _distribution_rows(distribution: pd.DataFrame, classes: Sequence[str]) -> list[dict]:
    """One row a segment and replicate, all replicates together last; one cell a class."""
    rows = []
    for segment in sorted(distribution["segment"].unique(), key=depth_of):
        of_segment = distribution[distribution["segment"] == segment]
        for replicate, of_row in of_segment.groupby("replicate", dropna=False, sort=True):
            by_class = of_row.set_index("class")
            pooled = not is_known(replicate)
            rows.append(
                {
                    "segment": depth_range(str(segment)),
                    "replicate": "all" if pooled else f"{replicate}",
                    "pooled": pooled,
                    "volume": volume(by_class["volume_imaged_ml"].iloc[0]),
                    "cells": [_cell(by_class.loc[key]) if key in by_class.index else None for key in classes],
                }
            )
    return rows


def _cell(row: pd.Series) -> dict[str, str]:
    doubtful = is_known(row["overdispersion_p"]) and row["overdispersion_p"] < _DOUBTFUL_P
    return {
        "count": count(row["count"]),
        "per_ml": f"{number(row['per_ml'])}/ml" if is_known(row["per_ml"]) else "",
        "interval": interval(row["per_ml_low"], row["per_ml_high"]),
        "differ": f"replicates differ, {chance(row['overdispersion_p'])}" if doubtful else "",
    }


def _card(row: pd.Series, crop: np.ndarray | None) -> dict:
    """One candidate as the template shows it."""
    key = str(row["predicted_class"])
    return {
        "rank": count(row["rank"]),
        "particle_id": str(row["particle_id"]),
        "title": short_class_title(key),
        "colour": class_colour(key),
        "image": _crop_image(crop, row["calibration_um_per_px"]) if crop is not None else None,
        "probabilities": _probabilities(row),
        "scores": [
            ("interest", f"{row['interest']:.3f}"),
            ("anomaly score", f"{row['anomaly_score']:.3f}".replace("-", "−")),
            ("dust as anomalous", share(row["dust_share_more_anomalous"])),
            *_reconstruction(row),
            ("rank score", f"{row['rank_score']:.2f}".replace("-", "−")),
        ],
        "sizes": [(property_title(c).split(" (µm)")[0], size(row[c])) for c in _SIZES if c in row and is_known(row[c])],
        "place": _place(row),
    }


def _reconstruction(row: pd.Series) -> list[tuple[str, str]]:
    """How badly the autoencoder draws the particle, where one has scored it."""
    error = row.get("reconstruction_error")
    return [("reconstruction error", number(error))] if is_known(error) else []


def _probabilities(row: pd.Series, shown: int = 3) -> list[dict[str, str]]:
    """The likeliest classes, by the mean of the models."""
    means = {
        str(column).removeprefix("p_"): float(value)
        for column, value in row.items()
        if str(column).startswith("p_") and not str(column).startswith(("p_cnn_", "p_lightgbm_")) and is_known(value)
    }
    likeliest = sorted(means.items(), key=lambda pair: -pair[1])[:shown]
    return [
        {"title": short_class_title(key), "colour": class_colour(key), "percent": f"{100 * p:.0f}", "text": f"{p:.2f}"}
        for key, p in likeliest
    ]


def _place(row: pd.Series) -> list[str]:
    """Where a candidate is to be found again: depth, camera frame, time."""
    lines = [f"{depth_range(row['segment'])}, replicate {row['replicate']}"]
    frame = [f"frame {int(row['source_frame'])}"] if is_known(row.get("source_frame")) else []
    if is_known(row.get("capture_x_px")) and is_known(row.get("capture_y_px")):
        frame.append(f"x {int(row['capture_x_px'])}, y {int(row['capture_y_px'])} px")
    if frame:
        lines.append(", ".join(frame))
    if is_known(row.get("timestamp")):
        lines.append(f"{row['timestamp']:%Y-%m-%d %H:%M:%S}")
    return lines


def _crop_image(crop: np.ndarray, um_per_px: float | None) -> dict[str, str]:
    """A crop fitted into the card's box, with a scale bar in its own scale."""
    enlargement = min(_LARGEST_ENLARGEMENT, _CROP_BOX_PX / max(crop.shape))
    bar = scale_bar(_CROP_BOX_PX / enlargement, um_per_px if is_known(um_per_px) else None)
    done, png = cv2.imencode(".png", crop)
    if not done:
        raise ValueError(f"a crop of shape {crop.shape} and type {crop.dtype} could not be encoded as PNG")
    return {
        "source": data_uri(png.tobytes()),
        "width": f"{crop.shape[1] * enlargement:.0f}",
        "height": f"{crop.shape[0] * enlargement:.0f}",
        "bar_width": f"{bar.length_px * enlargement:.1f}",
        "bar_text": bar.text,
        "smooth": "pixelated" if enlargement > 1 else "auto",
    }


def _reasons(rejects: pd.DataFrame) -> list[dict[str, str]]:
    """How many rows were refused for each reason, the commonest first."""
    if rejects.empty:
        return []
    grouped = (
        rejects.groupby(["reason", "remedy"], dropna=False).size().sort_values(ascending=False).reset_index(name="n")
    )
    return [
        {"count": count(r["n"]), "reason": text(r["reason"]), "remedy": text(r["remedy"])}
        for _, r in grouped.iterrows()
    ]


def _rejects(rejects: pd.DataFrame) -> list[dict[str, str]]:
    columns = ("run", "particle_number", "file", "row", "reason", "remedy")
    return [{c: text(row[c]) for c in columns} for _, row in rejects.head(REJECTS_SHOWN).iterrows()]


def _run(row: pd.Series) -> dict[str, str]:
    """One run as the template shows it."""
    calibration = row["calibration_um_per_px"]
    return {
        "run": text(row["run"]),
        "started": moment(row["started_at"]),
        "zone": text(row["time_zone"]),
        "software": " ".join(part for part in (text(row["software_version"]), text(row["format"])) if part),
        "optics": ", ".join(
            part
            for part in (text(row["magnification"]), f"{number(calibration, 4)} µm/px" if is_known(calibration) else "")
            if part
        )
        or "unknown",
        "volume": volume(row["volume_imaged_ml"]),
        "volume_source": text(row["volume_source"]),
        "efficiency": share(row["efficiency"]),
        "kept": count(row["rows_kept"]),
        "refused": count(row["rows_refused"]),
        "claimed": count(row["particles_claimed"]),
        "remarks": " ".join(
            part
            for part in (
                f"Missing: {text(row['missing_files'])}." if text(row["missing_files"]) else "",
                text(row["problems"]),
            )
            if part
        ),
        "fingerprint": text(row["fingerprint"])[:12],
    }


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds it whole."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
