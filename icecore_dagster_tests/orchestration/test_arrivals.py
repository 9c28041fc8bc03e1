"""The decision of the landing sensor: what is taken, what waits, what costs nothing."""

import shutil
from pathlib import Path

import pytest

from icecore_dagster.orchestration.arrivals import Decision, Memory, Patience, decide
from icecore_dagster.simulation.laboratory import simulate_ice

PATIENCE = Patience(quiet_seconds=10, incomplete_minutes=30)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """Two replicates of one segment of one core."""
    folder = tmp_path_factory.mktemp("drawn")
    simulate_ice(
        folder / "landing",
        truth_folder=folder / "truth",
        cores=["GRIP_3046"],
        segments=["0_20"],
        replicates=2,
        particles_per_run=25,
        seed=5,
        processes=1,
        progress=False,
    )
    return folder / "landing"


@pytest.fixture
def landing(drawn, tmp_path) -> Path:
    folder = tmp_path / "landing"
    shutil.copytree(drawn, folder)
    return folder


class Looks:
    """A sensor that looks at the folder at times we choose."""

    def __init__(self, landing: Path) -> None:
        self.landing, self.memory = landing, Memory()

    def at(self, seconds: float) -> Decision:
        decision = decide(self.landing, self.memory, PATIENCE, clock=lambda: seconds)
        self.memory = Memory.model_validate_json(decision.memory.model_dump_json())
        return decision


def test_a_run_is_taken_only_once_it_has_lain_still(landing):
    looks = Looks(landing)
    assert looks.at(0).requests == []
    assert looks.at(5).requests == []
    (request,) = looks.at(20).requests
    assert (request.core, request.segment) == ("GRIP_3046", "0_20")
    assert request.runs == ("GRIP_3046_0_20_1", "GRIP_3046_0_20_2")


def test_nothing_new_requests_nothing(landing):
    looks = Looks(landing)
    looks.at(0), looks.at(20)
    assert looks.at(40).requests == []
    assert looks.at(4000).requests == []


def test_the_same_bytes_delivered_again_cost_nothing(landing, drawn):
    looks = Looks(landing)
    looks.at(0), looks.at(20)
    run = landing / "GRIP_3046_0_20_1"
    shutil.rmtree(run)
    shutil.copytree(drawn / run.name, run, copy_function=shutil.copy)
    assert looks.at(40).requests == []
    assert looks.at(60).requests == []


def test_other_bytes_request_that_segment_again_under_another_key(landing):
    looks = Looks(landing)
    looks.at(0)
    (first,) = looks.at(20).requests
    listing = landing / "GRIP_3046_0_20_1" / "GRIP_3046_0_20_1.lst"
    original = listing.read_text()
    listing.write_text(original.replace("4.5000", "4.0000"))
    looks.at(40)
    (second,) = looks.at(60).requests
    assert second.key != first.key
    listing.write_text(original)
    looks.at(80)
    (third,) = looks.at(100).requests
    assert third.fingerprint == first.fingerprint
    assert third.key != first.key


def test_a_run_still_being_copied_waits(landing):
    collage = landing / "GRIP_3046_0_20_1" / "GRIP_3046_0_20_1_000001.tif"
    content = collage.read_bytes()
    collage.unlink()
    looks = Looks(landing)
    looks.at(0)
    waiting = looks.at(60)
    assert waiting.requests == []
    assert any("GRIP_3046_0_20_1_000001.tif" in note for note in waiting.notes)
    collage.write_bytes(content)
    looks.at(80)
    assert len(looks.at(100).requests) == 1


def test_a_list_with_fewer_rows_than_claimed_waits_but_not_for_ever(landing):
    listing = landing / "GRIP_3046_0_20_2" / "GRIP_3046_0_20_2.lst"
    listing.write_text("\n".join(listing.read_text().splitlines()[:-3]) + "\n")
    looks = Looks(landing)
    looks.at(0)
    assert looks.at(60).requests == []
    assert any("fewer" in note or "states" in note for note in looks.at(120).notes)
    assert len(looks.at(31 * 60).requests) == 1


def test_a_list_cut_in_the_middle_of_a_row_waits(landing):
    listing = landing / "GRIP_3046_0_20_2" / "GRIP_3046_0_20_2.lst"
    listing.write_text(listing.read_text()[:-200])
    looks = Looks(landing)
    looks.at(0)
    assert looks.at(60).requests == []


def test_a_name_that_does_not_fit_is_reported_and_holds_up_nobody(landing):
    (landing / "my new run").mkdir()
    looks = Looks(landing)
    looks.at(0)
    decision = looks.at(20)
    assert len(decision.requests) == 1
    assert any("my new run" in note and "GRIP_3046_40_55_1" in note for note in decision.notes)


def test_a_run_that_was_moved_away_changes_nothing(landing):
    looks = Looks(landing)
    looks.at(0), looks.at(20)
    shutil.rmtree(landing / "GRIP_3046_0_20_2")
    assert looks.at(40).requests == []
    assert looks.at(60).requests == []


def test_only_the_new_segment_is_requested(landing):
    looks = Looks(landing)
    looks.at(0), looks.at(20)
    shutil.copytree(landing / "GRIP_3046_0_20_1", landing / "QCY_0027_0_20_1")
    looks.at(40)
    (request,) = looks.at(60).requests
    assert (request.core, request.segment) == ("QCY_0027", "0_20")


def test_an_absent_landing_folder_is_no_error(tmp_path):
    assert decide(tmp_path / "landing", Memory(), PATIENCE, lambda: 0.0).requests == []
