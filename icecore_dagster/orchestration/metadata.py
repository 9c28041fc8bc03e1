"""What people see of an asset in the UI: counts, the head of a table, a picture, where the file lies."""

import base64
import io
import time
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pandas as pd
from PIL import Image
from upath import UPath

from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.metrics import MEASURES, ClassificationMetrics, class_table
from icecore_dagster.learning.models.card import ModelCard

HEAD_ROWS = 5
HEAD_COLUMNS = 12
PICTURE_PX = 1_000
"""Widest picture that the UI shows whole on a screen of 1,366 px."""
DIGITS = 5
"""Significant digits of a number in the UI; tables and model cards have them all."""


def table_head(frame: pd.DataFrame, rows: int = HEAD_ROWS) -> dg.MetadataValue:
    """The first rows and columns of a table, as Markdown."""
    shown = frame.iloc[:rows, :HEAD_COLUMNS]
    cut = f"\n\n… {frame.shape[1] - HEAD_COLUMNS} more columns" if frame.shape[1] > HEAD_COLUMNS else ""
    lines = [
        "| " + " | ".join(map(str, shown.columns)) + " |",
        "|" + " --- |" * shown.shape[1],
        *("| " + " | ".join(_cell(v) for v in row) + " |" for row in shown.itertuples(index=False)),
    ]
    return dg.MetadataValue.md("\n".join(lines) + cut)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.4g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return (
        "" if value is None or value is pd.NA or value is pd.NaT else str(value).replace("|", "\\|").replace("\n", " ")
    )


def picture(png: bytes, alt: str) -> dg.MetadataValue:
    """A picture inside the metadata itself, so that it shows offline; a wide one is made to fit the UI's window."""
    with Image.open(io.BytesIO(png)) as image:
        if image.width > PICTURE_PX:
            # The UI shows a picture as it is, and cuts off what lies beyond the edge.
            small = image.convert("RGB").resize(
                (PICTURE_PX, round(image.height * PICTURE_PX / image.width)), Image.Resampling.LANCZOS
            )
            buffer = io.BytesIO()
            small.save(buffer, format="PNG", optimize=True)
            png = buffer.getvalue()
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def stored_at(path: UPath | Path) -> dg.MetadataValue:
    """Where a result lies: a path on this machine, or a URL."""
    return dg.MetadataValue.path(str(path))


def numbers(values: Mapping[str, object]) -> dict[str, dg.MetadataValue]:
    """Plain facts as metadata, each in its own type and no longer than `DIGITS`; what is unknown says so."""
    shown: dict[str, dg.MetadataValue] = {}
    for key, value in values.items():
        if isinstance(value, bool):
            shown[key] = dg.MetadataValue.bool(value)
        elif isinstance(value, int):
            shown[key] = dg.MetadataValue.int(value)
        elif isinstance(value, float):
            shown[key] = dg.MetadataValue.float(float(f"{value:.{DIGITS}g}"))
        else:
            shown[key] = dg.MetadataValue.text("unknown" if value is None else str(value))
    return shown


class Stopwatch:
    """Seconds since it was made, for the metadata of an asset that does not measure energy."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def facts(self) -> dict[str, dg.MetadataValue]:
        """The seconds so far."""
        return numbers({"seconds": time.monotonic() - self._began})


def energy_facts(use: EnergyUse | None) -> dict[str, dg.MetadataValue]:
    """Seconds, energy and emissions of a piece of work, and how they were estimated."""
    if use is None:
        return {}
    return numbers(
        {
            "seconds": use.seconds,
            "energy (kWh)": use.kwh,
            "emissions (g CO2eq)": use.co2eq_g,
            "as far as by car (km)": use.car_km,
            "energy estimated by": use.method,
        }
    )


def metric_facts(metrics: ClassificationMetrics, held_out: str) -> dict[str, dg.MetadataValue]:
    """How well a classifier did on a held-out set: in all, with 95 % intervals by run, and by class."""
    by_class = class_table(metrics)
    titles = {name: f"{held_out}: {title}" for name, title in MEASURES.items()}
    return {
        **numbers({f"{held_out}: particles": metrics.particles}),
        **numbers({title: getattr(metrics, name) for name, title in titles.items()}),
        **numbers(
            {
                f"{titles[name]}, 95 % interval": f"{bounds.low:.4f} to {bounds.high:.4f}"
                for name, bounds in metrics.intervals.items()
                if name in titles
            }
        ),
        f"{held_out}: by class": table_head(by_class, rows=len(by_class)),
    }


def model_facts(card: ModelCard) -> dict[str, dg.MetadataValue]:
    """What a saved model is and what it learnt from."""
    return {
        **numbers({"version": card.content_hash[:12], "classes": ", ".join(card.classes) or "dust only"}),
        **numbers({f"learnt from {asset}": version[:12] for asset, version in card.training_data.items()}),
        **numbers({"split": card.split_kind}),
        **energy_facts(card.energy),
    }
