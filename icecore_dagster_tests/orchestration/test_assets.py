"""The assets, materialised: what people see on them, and what lies in storage afterwards."""

import shutil

import dagster as dg
import pandas as pd
import pytest

from icecore_dagster.learning.models.card import ModelNotFoundError
from icecore_dagster.orchestration.jobs import CORE_ASSETS, SEGMENT_ASSETS
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.particles.intake.cells import SegmentError
from icecore_dagster.particles.intake.crops import stream_crops
from icecore_dagster.particles.tables.store import count_rows, read_table
from icecore_dagster.scoring.files import score_path, write_scores
from icecore_dagster_tests.orchestration.conftest import CORE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]


def metadata_of(result: dg.ExecuteInProcessResult, asset: str) -> dict:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(asset)]
    return dict(event.materialization.metadata)


@pytest.fixture(scope="module")
def scored(trained):
    """One segment taken through every segment asset, and its core through every core asset."""
    (cell, _) = trained.add_cells(CORE, "0_20", "20_40")
    of_segment = trained.make(*SEGMENT_ASSETS, partition=cell)
    of_core = trained.make(*CORE_ASSETS, partition=CORE)
    return of_segment, of_core


def test_every_asset_says_what_it_is(trained):
    for key in trained.defs.resolve_asset_graph().get_all_asset_keys():
        node = trained.defs.resolve_asset_graph().get(key)
        assert node.description, key
        assert node.group_name != "default", key
        assert node.kinds, key
        assert node.owners, key
        assert node.code_version, key


def test_a_segment_goes_from_run_folders_to_scores(trained, scored):
    of_segment, _ = scored
    assert of_segment.success
    store = trained.lab.store
    rows = count_rows(store.table("segment_particles", CORE, "0_20"))
    assert rows > 50
    for name in ("segment_crops", "segment_predictions", "segment_anomaly_scores", "segment_embedding"):
        assert count_rows(store.table(name, CORE, "0_20")) == rows


def test_all_blocking_checks_of_a_sound_segment_pass(scored):
    of_segment, _ = scored
    evaluations = of_segment.get_asset_check_evaluations()
    assert {e.check_name for e in evaluations} == {
        "schema",
        "row_balance",
        "unique_ids",
        "plausible_sizes",
        "flowcam_consistency",
        "share_of_rejects",
        "every_run_readable",
    }
    assert all(e.passed for e in evaluations)


@pytest.mark.parametrize("asset", SEGMENT_ASSETS)
def test_a_segment_asset_shows_counts_a_table_and_where_it_lies(scored, asset):
    metadata = metadata_of(scored[0], asset)
    assert metadata["dagster/row_count"].value > 50
    assert metadata["head"].value.startswith("| ")
    assert metadata["file"].value.endswith("0_20.parquet")
    assert metadata["seconds"].value >= 0


@pytest.mark.parametrize("asset", SEGMENT_ASSETS)
def test_a_picture_is_inside_the_metadata(scored, asset):
    assert any("data:image/png;base64," in str(value.value) for value in metadata_of(scored[0], asset).values())


def test_crops_are_packed_in_the_order_of_the_particles(trained, scored):
    store = trained.lab.store
    packed = [pid for block in stream_crops(store.table("segment_crops", CORE, "0_20")) for pid in block.particle_ids]
    assert packed == read_table(store.table("segment_particles", CORE, "0_20"))["particle_id"].tolist()


def test_a_core_is_ranked_and_reported_from_its_scored_segment_alone(trained, scored):
    _, of_core = scored
    assert of_core.success
    ranking = read_table(trained.lab.store.table("anomaly_ranking", CORE))
    assert ranking["rank"].tolist() == list(range(1, len(ranking) + 1))
    assert set(ranking["segment"]) == {"0_20"}
    page = trained.lab.store.report(f"{CORE}.html").read_text(encoding="utf-8")
    assert ranking["particle_id"][0] in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_ranking_shows_why_its_first_particles_rank_first(scored):
    shown = metadata_of(scored[1], "anomaly_ranking")
    assert "data:image/png;base64," in shown["why the first six"].value


def test_models_show_quality_energy_and_what_they_saw(trained):
    record = trained.instance.get_latest_materialization_event(dg.AssetKey("cnn_model"))
    metadata = record.asset_materialization.metadata
    assert 0 <= metadata["validation: balanced accuracy"].value <= 1
    assert metadata["seconds"].value > 0
    assert "40 %" in metadata["energy estimated by"].value
    assert metadata["learnt from synthetic_particles"].value
    assert metadata["split"].value == "by run"


def test_a_network_shows_its_filters_and_how_it_did_by_class_with_intervals(trained):
    record = trained.instance.get_latest_materialization_event(dg.AssetKey("cnn_model"))
    metadata = record.asset_materialization.metadata
    for figure in ("filters", "feature maps"):
        assert "data:image/png;base64," in metadata[figure].value
    for measure in ("accuracy", "balanced accuracy", "macro F1", "calibration error"):
        low, high = map(float, metadata[f"validation: {measure}, 95 % interval"].value.split(" to "))
        assert low <= high
    table = metadata["test: by class"].value
    assert "| class | particles | precision | recall | f1 |" in table
    assert "| corylus |" in table
    assert metadata["start weights"].value == "random"


def test_the_leaderboard_marks_the_best_network_of_each_task(trained):
    result = trained.make("network_leaderboard")
    metadata = metadata_of(result, "network_leaderboard")
    assert metadata["best for seven_class"].value == SCORED_BY.architecture
    assert metadata["dagster/row_count"].value == 1
    assert "data:image/png;base64," in metadata["networks"].value
    assert f"| {SCORED_BY.task} | {SCORED_BY.architecture} | best |" in metadata["head"].value


def test_the_same_bytes_give_the_same_data_version_and_other_bytes_replace_the_result(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    first = bench.make("segment_particles", partition=cell)
    again = bench.make("segment_particles", partition=cell)
    shutil.rmtree(bench.lab.landing / f"{CORE}_0_20_2")
    fewer = bench.make("segment_particles", partition=cell)

    def version(result):
        (event,) = result.get_asset_materialization_events()
        return event.materialization.tags["dagster/data_version"]

    assert version(first) == version(again)
    assert version(fewer) != version(first)
    assert set(read_table(bench.lab.store.table("segment_particles", CORE, "0_20"))["replicate"]) == {1}


def spoil(bench, *replicates: int) -> None:
    for replicate in replicates:
        listing = bench.lab.landing / f"{CORE}_0_20_{replicate}" / f"{CORE}_0_20_{replicate}.lst"
        listing.write_text(listing.read_text().replace("017", "099", 1))


def test_a_run_that_cannot_be_read_leaves_its_replicate_unaffected(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    spoil(bench, 1)
    result = bench.make("segment_particles", partition=cell)
    stored = read_table(bench.lab.store.table("segment_particles", CORE, "0_20"))
    assert set(stored["replicate"]) == {2}
    (warning,) = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert warning.check_name == "every_run_readable"
    assert f"{CORE}_0_20_1.lst" in warning.description
    assert "099" in warning.description


def test_a_segment_that_cannot_be_read_at_all_says_why_and_keeps_the_old_result(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    bench.make("segment_particles", partition=cell)
    target = bench.lab.store.table("segment_particles", CORE, "0_20")
    rows = count_rows(target)
    spoil(bench, 1, 2)
    with pytest.raises(SegmentError, match=f"{CORE}_0_20_1.lst.*099"):
        bench.make("segment_particles", partition=cell)
    assert count_rows(target) == rows


def test_a_segment_read_anew_but_not_scored_is_left_out_of_its_core(bench):
    cells = bench.add_cells(CORE, "0_20", "20_40")
    for cell in cells:
        bench.make(*SEGMENT_ASSETS, partition=cell)
    shutil.rmtree(bench.lab.landing / f"{CORE}_0_20_2")
    bench.make("segment_particles", partition=cells[0])
    assert bench.make(*CORE_ASSETS, partition=CORE).success
    assert set(read_table(bench.lab.store.table("anomaly_ranking", CORE))["segment"]) == {"20_40"}


def test_crops_of_changed_runs_are_refused(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    bench.make("segment_particles", partition=cell)
    shutil.rmtree(bench.lab.landing / f"{CORE}_0_20_2")
    with pytest.raises(ValueError, match="have changed since they were read"):
        bench.make("segment_crops", partition=cell)


def test_scoring_without_a_model_says_so(bench):
    (cell,) = bench.add_cells(CORE, "0_20")
    bench.make("segment_particles", "segment_crops", partition=cell)
    shutil.rmtree(str(bench.lab.store.models / "isolation_forest"))
    with pytest.raises(ModelNotFoundError, match="isolation_forest"):
        bench.make("segment_anomaly_scores", partition=cell)


def test_real_crops_are_scored_a_row_a_particle_without_dagster(trained, ice_core_particles, tmp_path):
    scores = score_path(ice_core_particles, trained.lab, progress=False)
    assert len(scores) == 7
    assert scores.filter(regex="^p_(?!cnn|lightgbm)").sum(axis=1).round(6).eq(1).all()
    assert scores["calibration_um_per_px"].notna().sum() == scores["length_um"].notna().sum()
    write_scores(scores, tmp_path / "scores.csv")
    assert len(pd.read_csv(tmp_path / "scores.csv")) == 7


def test_a_calibration_gives_bare_crops_their_sizes(trained, ice_core_particles):
    scores = score_path(ice_core_particles, trained.lab, um_per_px=0.277, progress=False)
    pollen = scores[scores["particle_id"].str.startswith("qrob")]
    assert pollen["diameter_fd_um"].between(25, 45).all()


def test_real_runs_go_all_the_way_to_a_ranking(bench, colour_run, bare_run):
    for core, run in (("QCY_0027", colour_run), ("COM_0001", bare_run)):
        shutil.copytree(run, bench.lab.landing / f"{core}_0_20_1", copy_function=shutil.copy)
        (cell,) = bench.add_cells(core, "0_20")
        assert bench.make(*SEGMENT_ASSETS, partition=cell).success
        assert bench.make(*CORE_ASSETS, partition=core).success
    assert count_rows(bench.lab.store.table("anomaly_ranking", "QCY_0027")) == 1000
    assert count_rows(bench.lab.store.table("anomaly_ranking", "COM_0001")) == 506
