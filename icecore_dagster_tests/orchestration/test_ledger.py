"""Energy through Dagster: a scored segment keeps what it cost, and the ledger sums it with the trainings."""

import json

import pytest

from icecore_dagster.learning.search.configuration import load_configuration
from icecore_dagster.orchestration.jobs import SEGMENT_ASSETS, SEGMENT_SCORES
from icecore_dagster.orchestration.metadata import DIGITS
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.particles.tables.schemas import SCORING_ENERGY
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster_tests.orchestration.conftest import CORE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]


def test_every_scoring_is_kept_and_summed_with_every_training(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    # The copied laboratory may have been scored by other tests already.
    bench.lab.store.table(SCORING_ENERGY.name, CORE, "0_20").unlink(missing_ok=True)
    bench.make(*SEGMENT_ASSETS, partition=cell)
    bench.make(*SEGMENT_SCORES, partition=cell)
    spent = read_table(bench.lab.store.table(SCORING_ENERGY.name, CORE, "0_20"))
    assert SCORING_ENERGY.violations(spent).empty
    assert len(spent) == 2
    assert (spent["kwh"] > 0).all()
    assert spent["tables"].tolist() == [", ".join(SEGMENT_SCORES)] * 2
    cards = [json.loads(path.read_bytes()) for path in (bench.lab.data / "results" / "models").rglob("card.json")]
    result = bench.make("energy_ledger")
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    trained = sum(card["energy"]["kwh"] for card in cards)
    shown_to = 0.5 * 10 ** (1 - DIGITS)
    assert metadata["energy (kWh)"].value == pytest.approx(trained + spent["kwh"].sum(), rel=shown_to)
    assert metadata["pieces of work"].value == len(cards) + 2
    assert "may be off by 40 %" in metadata["energy estimated by"].value
    assert "data:image/png;base64," in metadata["picture"].value


def test_a_search_shows_its_trials_and_the_network_takes_its_configuration(bench):
    task = SCORED_BY.task
    constants = {"trials": 2, "epochs": 1, "most_of_label": 6, "architectures": ["A4"], "name": "quick"}
    result = bench.make("network_search", partition=task, configured={"network_search": {"config": constants}})
    (event,) = result.get_asset_materialization_events()
    metadata = event.materialization.metadata
    assert metadata["dagster/row_count"].value == 2
    assert metadata["configuration"].value == "quick"
    assert "data:image/png;base64," in metadata["history"].value
    searched = load_configuration(bench.lab, "quick").training["learning_rate"]
    assert metadata["learning_rate"].value == float(f"{searched:.{DIGITS}g}")
    wanted = {"cnn_model": {"config": {"epochs": 1, "configuration": "quick", "precision": "float32"}}}
    bench.make("cnn_model", partition=f"A4|{task}", configured=wanted, raise_on_error=False)
    (card,) = (bench.lab.data / "results" / "models" / "cnn_model" / task / "A4").glob("*/card.json")
    config = json.loads(card.read_bytes())["config"]
    assert (config["learning_rate"], config["precision"]) == (searched, "float32")
    refused = bench.make("cnn_model", partition=f"K1|{task}", configured=wanted, raise_on_error=False)
    assert not refused.success
