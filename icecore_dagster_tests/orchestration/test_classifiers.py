"""Classifiers by task and feature set: what they show, what they depend on, and what the demonstration trains."""

import dagster as dg
import pytest

from icecore_dagster.learning.features.sets import FEATURE_SETS
from icecore_dagster.learning.features.transfer import FeaturesError
from icecore_dagster.learning.models.dense_file import load_dense
from icecore_dagster.orchestration.conducting.demo import DemoSize
from icecore_dagster.orchestration.partitions import SCORED_BY, classifiers, networks
from icecore_dagster.particles.labels import TASKS
from icecore_dagster_tests.orchestration.test_assets import metadata_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("laboratory")]


def key(features: str, task: str) -> str:
    return str(dg.MultiPartitionKey({"features": features, "task": task}))


def test_there_is_a_partition_for_every_task_and_feature_set():
    assert set(classifiers.get_partition_keys()) == {key(f, t) for f in FEATURE_SETS for t in TASKS}


@pytest.mark.parametrize(
    ("features", "needed"),
    [("learned", [f"{SCORED_BY.architecture}|pollen"]), ("properties", []), ("properties_transfer", [])],
)
def test_only_learned_features_depend_on_a_network_and_only_on_that_of_their_task(features, needed):
    asked = classifiers.subset_with_partition_keys([key(features, "pollen")])
    with dg.DagsterInstance.ephemeral():
        upstream = SCORED_BY.to_learned_features.get_upstream_mapped_partitions_result_for_partitions(
            asked, classifiers, networks
        )
    assert list(upstream.partitions_subset.get_partition_keys()) == needed


def test_trees_on_properties_show_what_they_lean_on(bench):
    made = metadata_of(bench.make("lightgbm_model", partition=key("no_raw_grey", "three_class")), "lightgbm_model")
    assert made["features"].value == 32
    for picture in ("confusion (test)", "importance", "SHAP summary", "SHAP by class"):
        assert "data:image/png;base64," in made[picture].value
    assert made["folder"].value.endswith("lightgbm_model/three_class/no_raw_grey")


def test_classifiers_learn_from_imagenet_features_once_these_are_there(bench):
    with pytest.raises(FeaturesError, match="materialise transfer_features first"):
        bench.make("dense_model", partition=key("transfer", "ash"))
    features = metadata_of(bench.make("transfer_features"), "transfer_features")
    assert features["dagster/row_count"].value > 300
    assert features["images a second"].value > 0
    assert "data:image/png;base64," in features["picture"].value
    result = bench.make("dense_model", partition=key("transfer", "ash"), raise_on_error=False)
    made = metadata_of(result, "dense_model")
    assert made["features"].value == 1280
    assert "data:image/png;base64," in made["learning curve"].value
    assert [e.check_name for e in result.get_asset_check_evaluations()] == ["model_quality"]
    card = load_dense(bench.lab.store.models / "dense_model" / "ash" / "transfer").card
    assert set(card.training_data) == {"synthetic_particles", "transfer_features"}


def test_the_demonstration_trains_known_tasks_and_that_which_scores():
    assert SCORED_BY.task in DemoSize().epochs
    assert set(DemoSize().epochs) <= set(TASKS)
