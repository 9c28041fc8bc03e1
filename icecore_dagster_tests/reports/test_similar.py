"""Particles like a given one, over the stored tables of a core: what is found, what is refused, what is written."""

import shutil

import pandas as pd
import pytest

from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import SEGMENT_EMBEDDING
from icecore_dagster.particles.tables.store import read_table, write_table
from icecore_dagster.reports.similar import require_known_ending, similar_sheet, write_similar
from icecore_dagster.scoring.core.rollup import CoreNotScoredError
from icecore_dagster.scoring.similar import OtherNetworkError, ParticleUnknownError, Query, find_similar
from icecore_dagster_tests.reports.conftest import CORE, MODELS, PER_RUN

ASKED = f"{CORE}_40_55_2_7"


def _placed(scored_core, tmp_path, models=MODELS) -> Laboratory:
    """A copy of the core whose particles lie on a line, by their number within the run."""
    lab = Laboratory.at(tmp_path / "data")
    shutil.copytree(scored_core.lab.data, lab.data)
    for path in lab.store.tables(SEGMENT_EMBEDDING.name, CORE):
        table = read_table(path)
        number = table["particle_id"].str.rpartition("_")[2].astype(float)
        write_table(path, table.assign(e_00=1.0, e_01=number), SEGMENT_EMBEDDING, {"models": models})
        models = MODELS
    return lab


def test_neighbours_come_first_with_class_and_size(scored_core, tmp_path):
    lab = _placed(scored_core, tmp_path)
    similar = find_similar(lab, ASKED, most=6, progress=False)
    found = similar.found
    assert found["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    # The same number in the three other runs, and then the next one.
    numbers = found["particle_id"].str.rpartition("_")[2].astype(int).tolist()
    assert numbers == [7, 7, 7, 8, 8, 8]
    assert ASKED not in set(found["particle_id"])
    assert similar.searched == 4 * PER_RUN - 1
    known = scored_core.particles.set_index("particle_id").loc[found["particle_id"]]
    assert found["predicted_class"].tolist() == known["predicted_class"].tolist()
    assert found["diameter_esd_um"].tolist() == known["diameter_esd_um"].tolist()


@pytest.mark.parametrize(
    ("particle_id", "core", "error", "message"),
    [
        (f"{CORE}_40_55_2_9999", None, ParticleUnknownError, "has no particle of that id"),
        ("GRIP_1_0_20_1_3", CORE, ParticleUnknownError, "has not been read"),
        ("no_such_thing", CORE, ParticleUnknownError, "no labelled particle has that id"),
        (f"{CORE}_40_55_2_{PER_RUN - 8}", None, ParticleUnknownError, "has no image"),
        (ASKED, "GRIP_3306", CoreNotScoredError, "no segment of GRIP_3306 has been scored.*icecore backfill"),
    ],
)
def test_what_cannot_be_found_says_what_to_do(scored_core, particle_id, core, error, message):
    with pytest.raises(error, match=message):
        find_similar(scored_core.lab, particle_id, core, progress=False)


def test_segments_scored_by_different_networks_are_not_compared(scored_core, tmp_path):
    lab = _placed(scored_core, tmp_path, {**MODELS, "network": "ff" * 32})
    with pytest.raises(OtherNetworkError, match=r"different networks.*icecore backfill"):
        find_similar(lab, ASKED, progress=False)


def test_the_page_the_table_and_the_picture(scored_core, tmp_path, picture):
    lab = _placed(scored_core, tmp_path)
    similar = find_similar(lab, ASKED, most=5, progress=False)
    for ending in (".html", ".csv", ".png"):
        write_similar(lab, similar, tmp_path / f"like{ending}", "nearest by distance")
    page = (tmp_path / "like.html").read_text(encoding="utf-8")
    assert all(pid in page for pid in similar.found["particle_id"])
    assert "http://" not in page
    assert "https://" not in page
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "like.csv"), similar.found, check_dtype=False)
    picture((tmp_path / "like.png").read_bytes())
    with pytest.raises(ValueError, match=r"endings \.html, \.csv, \.png"):
        require_known_ending(tmp_path / "like.xlsx")


def test_text_of_an_id_is_escaped_on_the_page(scored_core, tmp_path):
    lab = _placed(scored_core, tmp_path)
    similar = find_similar(lab, ASKED, most=2, progress=False)
    hostile = Query("<script>", similar.query.place, similar.query.particle, similar.query.crop)
    write_similar(lab, type(similar)(hostile, CORE, 2, similar.found), tmp_path / "like.html", "by <b>")
    page = (tmp_path / "like.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "<b>" not in page


def test_nothing_found_is_still_a_sheet(scored_core, picture):
    similar = find_similar(scored_core.lab, ASKED, most=1, progress=False)
    picture(similar_sheet(scored_core.lab, type(similar)(similar.query, CORE, 0, similar.found.head(0))))
