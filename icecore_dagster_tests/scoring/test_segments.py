import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from icecore_dagster.particles.intake.cells import pack_segment, read_segment
from icecore_dagster.particles.intake.crops import blocks_with_crops
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster.scoring import segments
from icecore_dagster.scoring.engine import ScoredBlock, ScoringModels, score_blocks
from icecore_dagster.scoring.segments import ALL_SCORES, score_segment
from icecore_dagster.simulation.laboratory import simulate_ice
from icecore_dagster_tests.scoring.conftest import SavedModels

CELL = ("GRIP_3046", "0_20")
BLOCK = 8


class Killed(BaseException):
    """Stands for a process that is gone: nothing catches it."""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, saved: SavedModels) -> Laboratory:
    lab = Laboratory.at(tmp_path_factory.mktemp("lab"))
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=[CELL[0]],
        segments=[CELL[1]],
        replicates=1,
        particles_per_run=60,
        seed=4,
        processes=1,
        progress=False,
    )
    read_segment(lab, *CELL)
    pack_segment(lab, *CELL)
    shutil.copytree(saved.root, Path(str(lab.store.models)))
    return lab


@pytest.fixture
def lab(measured: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    monkeypatch.setattr(segments, "BLOCK", BLOCK)
    monkeypatch.setattr(segments, "BLOCKS_A_PIECE", 2)
    shutil.copytree(measured.data, tmp_path / "data")
    return Laboratory.at(tmp_path / "data")


def _score(lab: Laboratory) -> dict[str, pd.DataFrame]:
    score_segment(lab, *CELL, task="three_class", architecture="A3")
    return {name: read_table(lab.store.table(name, *CELL)) for name in ALL_SCORES}


def _break_off_after(monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    def broken(*args: object, **switches: bool) -> Iterator[ScoredBlock]:
        for number, block in enumerate(score_blocks(*args, **switches)):  # type: ignore[arg-type]
            if number == blocks:
                raise Killed
            yield block

    monkeypatch.setattr(segments, "score_blocks", broken)


def _count_particles(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    looked_at: list[int] = []

    def counting(*args: object, **switches: bool) -> Iterator[ScoredBlock]:
        for block in score_blocks(*args, **switches):  # type: ignore[arg-type]
            looked_at.append(len(block.anomaly))  # type: ignore[arg-type]
            yield block

    monkeypatch.setattr(segments, "score_blocks", counting)
    return looked_at


def test_a_scoring_that_broke_off_goes_on_and_gives_what_an_unbroken_one_gives(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _score(lab)
    for name in ALL_SCORES:
        lab.store.table(name, *CELL).unlink()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        _break_off_after(patch, blocks=5)
        _score(lab)
    assert not any(lab.store.table(name, *CELL).exists() for name in ALL_SCORES)
    looked_at = _count_particles(monkeypatch)
    found = _score(lab)
    # Of two whole pieces of two blocks the first was kept; the third to fifth block were lost.
    assert sum(looked_at) == len(expected[ALL_SCORES[0]]) - 2 * BLOCK
    for name in ALL_SCORES:
        pd.testing.assert_frame_equal(found[name], expected[name])
    assert not [path for path in lab.scratch.rglob("*") if path.is_file()]


def test_pieces_scored_by_another_model_are_not_used(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(Killed):
        _break_off_after(patch, blocks=5)
        _score(lab)
    monkeypatch.setattr(ScoringModels, "versions", property(lambda _: {"network": "another"}))
    looked_at = _count_particles(monkeypatch)
    assert len(_score(lab)[ALL_SCORES[0]]) == sum(looked_at)


def test_a_stored_table_reads_on_behind_any_particle(lab: Laboratory) -> None:
    particles, crops = (lab.store.table(name, *CELL) for name in ("segment_particles", "segment_crops"))
    whole = next(blocks_with_crops(particles, crops, 1_000))
    for skip in (1, BLOCK, 23, len(whole[0])):
        rest = list(blocks_with_crops(particles, crops, BLOCK, skip=skip))
        ids = [name for frame, _ in rest for name in frame["particle_id"]]
        assert ids == whole[0]["particle_id"].tolist()[skip:]
        for found, expected in zip((crop for _, some in rest for crop in some), whole[1][skip:], strict=True):
            assert (found is None and expected is None) or (found == expected).all()
