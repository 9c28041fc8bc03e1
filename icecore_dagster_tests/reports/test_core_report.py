"""The page of a core: what a reader finds on it, offline and safe."""

import base64
import re
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.reports.core_report import (
    CoreNotRankedError,
    CoreReport,
    first_crops,
    gather_core,
    write_core_report,
)
from icecore_dagster.reports.page import CoreContent, render_core_page
from icecore_dagster.scoring.core.rollup import CoreNotScoredError
from icecore_dagster_tests.reports.conftest import CORE, MODELS, PER_RUN, REPLICATES, SEGMENTS


@pytest.fixture(scope="module")
def written(scored_core, tmp_path_factory) -> CoreReport:
    return write_core_report(scored_core.lab, CORE, tmp_path_factory.mktemp("asked for") / "page.html")


@pytest.fixture(scope="module")
def page(written) -> str:
    return written.address.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def content(scored_core) -> CoreContent:
    return gather_core(scored_core.lab, CORE)


def _words(page: str) -> str:
    """What a reader sees of a page, without its pictures, styles and tags."""
    body = re.sub(r"<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)
    return " ".join(body.replace("\u00a0", " ").split()).replace(" ,", ",")


def test_heading_tells_segments_replicates_runs_particles_and_volume(page):
    words = _words(page)
    runs = len(SEGMENTS) * len(REPLICATES)
    assert "Segments 0–20 cm, 40–55 cm" in words
    assert "Replicates 1, 2" in words
    assert f"Runs {runs}" in words
    assert f"Particles {runs * PER_RUN}" in words
    assert "Volume imaged 0.0800 ml" in words


def test_every_candidate_is_there_with_id_scores_and_place(page, scored_core):
    words = _words(page)
    for particle_id in scored_core.ranking["particle_id"].head(60):
        assert f" {particle_id} " in words
    assert f" {scored_core.ranking['particle_id'].iloc[60]} " not in words
    first = scored_core.ranking.iloc[0]
    card = words[words.index(f" {first['particle_id']} ") :][:400]
    assert f"anomaly score −{abs(first['anomaly_score']):.3f}" in card
    assert "interest 0.960" in card
    assert f"frame {first['source_frame']}, x 300, y 200 px" in card
    assert "µm" in card


def test_a_candidate_is_never_called_a_finding(page):
    assert "only geochemistry confirms a source" in _words(page)


def test_counts_come_with_concentration_and_poisson_interval(page):
    words = _words(page)
    # Three shards in 0.02 ml: 150/ml, between 0.619 / 0.02 and 8.77 / 0.02.
    assert "3 150/ml 30.9–438" in words
    # None found: nothing to at most 3.69 / 0.02 per ml.
    assert "0 0/ml 0–184" in words


def test_refused_rows_are_told_with_reason_and_remedy_and_escaped(page):
    assert "<script" not in page
    assert "crop outside its collage &lt;script&gt;" in page
    words = _words(page)
    assert "2 crop outside its collage" in words
    assert "export the run again" in words


def test_provenance_names_models_software_and_calibration(page):
    words = _words(page)
    for version in MODELS.values():
        assert version in words
    assert "4.19.3" in words
    assert "0.2770 µm/px" in words
    assert "Missing: run.ctx." in words


def test_page_needs_nothing_from_outside(page):
    assert not re.search(r"https?://", page)
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert sources
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in sources)


def test_every_picture_on_the_page_can_be_decoded(page):
    pictures = re.findall(r"data:image/png;base64,([^\"]+)", page)
    with_crops = 4 + 60 - len(SEGMENTS) * len(REPLICATES)
    assert len(pictures) == with_crops
    for encoded in pictures:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_UNCHANGED)
        assert image.std() > 3
    assert page.count("no image") == len(SEGMENTS) * len(REPLICATES)


def test_unknown_volume_and_calibration_are_said_to_be_unknown(content):
    blind = content.runs.assign(volume_imaged_ml=np.nan, calibration_um_per_px=np.nan)
    distribution = content.distribution.assign(
        volume_imaged_ml=np.nan, per_ml=np.nan, per_ml_low=np.nan, per_ml_high=np.nan
    )
    sizes = [c for c in content.candidates if c.endswith("_um")]
    candidates = content.candidates.assign(calibration_um_per_px=np.nan, **dict.fromkeys(sizes, np.nan))
    words = _words(render_core_page(replace(content, runs=blind, distribution=distribution, candidates=candidates)))
    assert "Volume imaged unknown" in words
    assert "counts are shown instead of concentrations" in words
    assert "sizes calibration unknown" in words
    assert "20 px" in words
    assert "/ml " not in words


def test_core_in_which_nothing_was_found_has_a_page(content):
    empty = replace(
        content,
        distribution=content.distribution.head(0),
        candidates=content.candidates.head(0),
        ranked=0,
        rejects=content.rejects.head(0),
        figures={},
    )
    words = _words(render_core_page(empty))
    assert "Nothing has been ranked." in words
    assert "No row was refused." in words


def test_report_goes_where_it_is_asked_to_and_tells_what_it_holds(written, page, scored_core, picture):
    assert page.startswith("<!DOCTYPE html>")
    assert [path.name for path in written.address.parent.iterdir()] == ["page.html"]
    assert written.facts["particles"] == len(scored_core.ranking)
    picture(written.sheet)


def test_crops_are_found_across_segments(scored_core):
    first = scored_core.ranking.groupby("segment").head(3)
    crops = first_crops(scored_core.lab, CORE, first)
    assert set(crops) <= set(first["particle_id"])
    assert len(crops) >= 4
    assert first_crops(scored_core.lab, CORE, pd.DataFrame({"particle_id": ["x"], "segment": ["90_99"]})) == {}


def test_core_without_scores_or_ranking_is_refused_with_what_to_do(tmp_path, scored_core):
    with pytest.raises(CoreNotScoredError, match="no scored segment"):
        write_core_report(Laboratory.at(tmp_path), CORE)
    ranking = scored_core.lab.store.table("anomaly_ranking", CORE)
    kept = ranking.read_bytes()
    ranking.unlink()
    try:
        with pytest.raises(CoreNotRankedError, match="materialise anomaly_ranking"):
            write_core_report(scored_core.lab, CORE)
    finally:
        ranking.write_bytes(kept)
