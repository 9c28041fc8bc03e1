"""What everything has cost: summed over saved models, searches and scorings, beside the study's figures."""

from dataclasses import replace
from datetime import datetime

import pandas as pd
import pytest

from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.models.card import ModelCard, Provenance, save_model
from icecore_dagster.learning.models.files import new_card
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import ENERGY_LEDGER, SCORING_ENERGY
from icecore_dagster.particles.tables.store import read_table, write_table
from icecore_dagster.reports.figures.energy import energy_figure
from icecore_dagster.scoring.energy_ledger import energy_ledger, keep_energy_ledger, total_of

USE = EnergyUse(seconds=100.0, kwh=0.002, co2eq_g=0.4, car_km=0.4 / 120.4, method="an estimate; may be off by 40 %")


@pytest.fixture
def lab(tmp_path) -> Laboratory:
    return Laboratory.at(tmp_path / "data")


def keep_network(lab: Laboratory, weights: bytes, energy: EnergyUse | None, task: str = "three_class") -> ModelCard:
    provenance = Provenance({"synthetic_particles": "v1"}, "by run", energy)
    card = new_card("network", provenance, ("numpy",), task=task, architecture="A3", metrics={}, config={})
    return save_model(lab.store.models / "cnn_model" / task / "A3", card, weights)


def keep_scorings(lab: Laboratory, segment: str, *uses: EnergyUse) -> None:
    rows = [
        {
            **{
                "core": "GRIP_3046",
                "segment": segment,
                "scored_at": datetime(2026, 1, 1),
                "tables": "segment_embedding",
            },
            **{"task": "seven_class", "architecture": "A3", "particles": 100, "seconds": use.seconds, "kwh": use.kwh},
            **{"co2eq_g": use.co2eq_g, "car_km": use.car_km, "method": use.method},
        }
        for use in uses
    ]
    write_table(lab.store.table(SCORING_ENERGY.name, "GRIP_3046", segment), pd.DataFrame(rows), SCORING_ENERGY)


def row_of(ledger: pd.DataFrame, **wanted: str) -> pd.Series:
    (row,) = [row for _, row in ledger.iterrows() if all(row[key] == value for key, value in wanted.items())]
    return row


def test_superseded_models_count_too_and_scoring_again_costs_again(lab):
    keep_network(lab, b"first", USE)
    keep_network(lab, b"second", replace(USE, kwh=0.003))
    keep_scorings(lab, "0_20", USE, USE)
    keep_scorings(lab, "20_40", USE)
    ledger = energy_ledger(lab)
    trained = row_of(ledger, by="this laboratory", stage="training")
    assert (trained["kind"], trained["task"], trained["architecture"]) == ("network", "three_class", "A3")
    assert (trained["pieces"], trained["kwh"]) == (2, pytest.approx(0.005))
    scored = row_of(ledger, by="this laboratory", stage="scoring")
    assert (scored["pieces"], scored["seconds"]) == (3, 300.0)
    total = total_of(ledger)
    assert total["kwh"] == pytest.approx(0.011)
    assert total["co2eq_g"] == pytest.approx(5 * 0.4)
    assert total["car_km"] == pytest.approx(5 * 0.4 / 120.4)
    assert total["pieces"] == 5


def test_what_could_not_be_estimated_is_counted_and_not_guessed(lab):
    keep_network(lab, b"first", USE)
    keep_network(lab, b"second", EnergyUse(50.0, None, None, None, "not measured: no sensors"))
    keep_network(lab, b"third", None)
    trained = row_of(energy_ledger(lab), by="this laboratory", stage="training")
    assert (trained["pieces"], trained["unmeasured"], trained["kwh"]) == (3, 2, pytest.approx(0.002))
    assert trained["seconds"] == 150.0
    assert trained["method"] == "an estimate; may be off by 40 %\nnot measured: no sensors"


def test_the_studys_figures_stand_beside(lab):
    ledger = energy_ledger(lab)
    a3 = row_of(ledger, by="the study", task="three_class")
    assert (a3["kwh"], a3["co2eq_g"], a3["seconds"]) == (0.028414, 8.359634, 1846)
    assert a3["car_km"] == pytest.approx(0.069432, abs=1e-6)
    everything = row_of(ledger, by="the study", stage="all")
    assert (everything["co2eq_g"], everything["car_km"], everything["pieces"]) == (2160, 18, 30)
    assert pd.isna(everything["kwh"])


def test_an_empty_laboratory_has_spent_nothing_known(lab):
    total = total_of(energy_ledger(lab))
    assert total["pieces"] == 0
    assert pd.isna(total["kwh"])


def test_a_card_that_is_damaged_is_left_out_and_said(lab, caplog):
    card = keep_network(lab, b"first", USE)
    broken = lab.store.models / "cnn_model" / "three_class" / "A3" / "0000" / "card.json"
    broken.parent.mkdir()
    broken.write_text('{"kind": "netw')
    with caplog.at_level("WARNING"):
        trained = row_of(energy_ledger(lab), by="this laboratory", stage="training")
    assert trained["pieces"] == 1
    assert "0000" in caplog.text
    assert card.content_hash not in caplog.text


def test_the_kept_table_is_what_it_is_declared_to_be_and_is_drawn(lab):
    keep_network(lab, b"first", USE)
    keep_scorings(lab, "0_20", USE)
    keep_energy_ledger(lab)
    stored = read_table(lab.store.table(ENERGY_LEDGER.name))
    assert ENERGY_LEDGER.violations(stored).empty
    png = energy_figure(stored)
    assert png.startswith(b"\x89PNG")
    assert len(png) > 3 * len(energy_figure(energy_ledger(Laboratory.at(lab.data / "empty"))))
