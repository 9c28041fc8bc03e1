"""What all trainings and scorings of a laboratory have cost together, beside the figures of the reference study."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pandas as pd

from icecore_dagster.learning.energy import CAR_G_CO2_PER_KM, CAVEAT
from icecore_dagster.learning.models.card import CARD_FILE
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import ENERGY_LEDGER, SCORING_ENERGY, SEARCH_TRIALS
from icecore_dagster.particles.tables.store import read_table, write_table

log = logging.getLogger(__name__)

HERE, STUDY = "this laboratory", "the study"
TRAINING, SEARCH, SCORING, ALL = "training", "search", "scoring", "all"

_GROUP = ["stage", "kind", "task", "architecture"]
_COSTS = ["seconds", "kwh", "co2eq_g", "car_km"]
_STUDY_METHOD = "codecarbon, as the 2021 study states it"
STUDY_TRAININGS = (
    # task, architecture, epochs, seconds, kWh, g CO2eq
    ("three_class", "A3", 20, 1_846, 0.028414, 8.359634),
    ("six_class", "A3", 14, 1_444, 0.021607, 6.357),
    ("pollen", "A4", 20, 448, 0.006822, 2.007),
)
"""Task, network, epochs, seconds, kWh and g CO2eq of the trainings whose cost the study states."""
STUDY_RUNS, STUDY_G, STUDY_KM = 30, 2_160.0, 18.0
"""The study's extrapolation to all of its trainings: runs, g CO2eq, km by car."""


def energy_ledger(lab: Laboratory) -> pd.DataFrame:
    """Sum what is known of energy, by stage, kind of model, task and network, and all together.

    Counted are all saved models, superseded ones too (the same training twice is one model and counts once), every
    trial of a search, and every scoring of every segment. Work that saves no model is not counted.

    Args:
        lab: the laboratory.

    Returns:
        `schemas.ENERGY_LEDGER`: rows of this laboratory, the last of them its total, then rows of the 2021 study.
    """
    pieces = pd.DataFrame(
        [*_of_models(lab), *_of_table(lab, SEARCH_TRIALS.name, SEARCH), *_of_table(lab, SCORING_ENERGY.name, SCORING)],
        columns=[*_GROUP, *_COSTS, "method"],
    ).astype(dict.fromkeys(_COSTS, float))
    groups = [(keys, of_group) for keys, of_group in pieces.groupby(_GROUP, dropna=False, sort=True)]
    rows = [{**dict(zip(_GROUP, keys, strict=True)), **_summed(of_group)} for keys, of_group in groups]
    rows.append({"stage": ALL, "kind": None, "task": None, "architecture": None, **_summed(pieces)})
    ledger = pd.DataFrame([*({"by": HERE, **row} for row in rows), *_of_study()])
    return ledger.astype(dict.fromkeys(_COSTS, float))


def keep_energy_ledger(lab: Laboratory) -> pd.DataFrame:
    """Sum what is known of energy and keep the table; returns it as `energy_ledger` does."""
    ledger = energy_ledger(lab)
    write_table(lab.store.table(ENERGY_LEDGER.name), ledger, ENERGY_LEDGER)
    return ledger


def total_of(ledger: pd.DataFrame) -> pd.Series:
    """The row of a ledger that holds everything this laboratory has spent."""
    return ledger[(ledger["by"] == HERE) & (ledger["stage"] == ALL)].iloc[0]


def _of_models(lab: Laboratory) -> Iterator[dict[str, Any]]:
    """One row a saved model. Cards are read leniently: those of former versions cost energy too."""
    models = lab.store.models
    if not models.exists():
        return
    for path in sorted(models.rglob(CARD_FILE), key=str):
        try:
            card = json.loads(path.read_bytes())
            energy = card.get("energy") or {}
            known = {name: card.get(name) for name in ("kind", "task", "architecture")}
            yield {"stage": TRAINING, **known, **{n: energy.get(n) for n in _COSTS}, "method": energy.get("method", "")}
        except (ValueError, AttributeError) as error:
            log.warning("%s is not counted: not a model card (%s)", path, error)


def _of_table(lab: Laboratory, name: str, stage: str) -> Iterator[dict[str, Any]]:
    """One row a piece of work that a table of costs holds."""
    for path in lab.store.tables(name):
        for row in read_table(path).to_dict(orient="records"):
            known = {key: row.get(key) for key in ("task", "architecture", *_COSTS, "method")}
            yield {"stage": stage, "kind": "network" if stage == SEARCH else None, **known}


def _summed(pieces: pd.DataFrame) -> dict[str, Any]:
    sums = {name: pieces[name].sum(min_count=1) for name in _COSTS}
    methods = sorted({method for method in pieces["method"] if method})
    return {
        "pieces": len(pieces),
        "unmeasured": int(pieces["kwh"].isna().sum()),
        **sums,
        "method": "\n".join(methods) or f"nothing measured; an estimate {CAVEAT}",
    }


def _of_study() -> Iterator[dict[str, Any]]:
    """What the 2021 study states: three trainings, and its extrapolation to all of its runs."""
    for task, architecture, epochs, seconds, kwh, grams in STUDY_TRAININGS:
        yield {
            **{"by": STUDY, "stage": TRAINING, "kind": "network", "task": task, "architecture": architecture},
            **{"pieces": 1, "unmeasured": 0, "seconds": seconds, "kwh": kwh, "co2eq_g": grams},
            **{"car_km": grams / CAR_G_CO2_PER_KM, "method": f"{_STUDY_METHOD}; {epochs} epochs"},
        }
    yield {
        **{"by": STUDY, "stage": ALL, "kind": None, "task": None, "architecture": None, "pieces": STUDY_RUNS},
        **{"unmeasured": 0, "seconds": None, "kwh": None, "co2eq_g": STUDY_G, "car_km": STUDY_KM},
        **{"method": f"extrapolated by the 2021 study to {STUDY_RUNS} runs"},
    }
