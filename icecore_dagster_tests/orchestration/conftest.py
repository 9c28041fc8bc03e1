"""A small simulated laboratory with trained models, made once a session and copied for each test that changes it."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from upath import UPath

from icecore_dagster.definitions import build_defs
from icecore_dagster.learning.models.card import ModelCard, ModelKind, load_card
from icecore_dagster.orchestration.checks import GATE
from icecore_dagster.orchestration.partitions import SCORED_BY
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.simulation.laboratory import simulate_ice, simulate_labelled
from icecore_dagster_tests.learning.saved_again import save_again

CORE, SEGMENTS = "GRIP_3046", ("0_20", "20_40")
TRAINED = ("synthetic_particles", "synthetic_split", "synthetic_tensors", "isolation_forest")
FAST = {
    "ops": {
        "cnn_model": {"config": {"epochs": 2}},
        "siamese_model": {"config": {"epochs": 2, "episodes": 20}},
        "synthetic_umap": {"config": {"most": 400, "n_neighbors": 10}},
        "isolation_forest": {"config": {"strangers": 20}},
        "autoencoder": {"config": {"epochs": 2, "strangers": 20}},
        "vae_augmentation": {"config": {"drawn": 12, "most_of_label": 20, "epochs": 1, "steps": 20}},
    }
}


@dataclass
class Bench:
    """A laboratory, the project assembled over it, and Dagster's records."""

    lab: Laboratory
    defs: dg.Definitions
    instance: dg.DagsterInstance

    def make(
        self,
        *assets: str,
        partition: str | None = None,
        raise_on_error: bool = True,
        configured: Mapping[str, dict] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Materialise assets with their checks, in this process."""
        selection = dg.AssetSelection.assets(*assets)
        ops = {**FAST["ops"], **(configured or {})}
        config = {"ops": {name: value for name, value in ops.items() if name in assets}}
        job = dg.define_asset_job("of_the_test", selection=selection, config=config)
        defs = dg.Definitions(
            assets=self.defs.assets, asset_checks=self.defs.asset_checks, jobs=[job], resources=self.defs.resources
        )
        return defs.resolve_job_def("of_the_test").execute_in_process(
            instance=self.instance, partition_key=partition, raise_on_error=raise_on_error
        )

    def add_cells(self, core: str, *segments: str) -> list[str]:
        """Register partition keys, as the landing sensor does."""
        self.instance.add_dynamic_partitions("core", [core])
        self.instance.add_dynamic_partitions("segment", list(segments))
        return [f"{core}|{segment}" for segment in segments]


def bench_at(lab: Laboratory, instance: dg.DagsterInstance) -> Bench:
    """The project over a laboratory."""
    return Bench(lab, build_defs({"laboratory": LaboratoryResource(data=str(lab.data))}), instance)


@pytest.fixture(scope="session")
def drawn_laboratory(tmp_path_factory) -> Laboratory:
    """Labelled runs and two segments of one core; nothing computed."""
    lab = Laboratory.at(tmp_path_factory.mktemp("laboratory") / "data")
    simulate_labelled(lab.labelled, particles=600, seed=1, processes=1, progress=False)
    simulate_ice(
        lab.landing,
        truth_folder=lab.truth,
        cores=[CORE],
        segments=SEGMENTS,
        replicates=2,
        particles_per_run=60,
        seed=1,
        processes=1,
        progress=False,
    )
    return lab


@pytest.fixture(scope="session")
def trained(drawn_laboratory) -> Iterator[Bench]:
    """That laboratory with the models trained, through Dagster."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = bench_at(drawn_laboratory, instance)
        bench.make(*TRAINED)
        # So few particles and epochs need not pass the quality gate; that it gates is tested on its own.
        bench.make("cnn_model", partition=str(SCORED_BY.network_key), raise_on_error=False)
        bench.make("lightgbm_model", partition=str(SCORED_BY.trees_key), raise_on_error=False)
        bench.make("synthetic_umap")
        yield bench


@pytest.fixture
def bench(trained, tmp_path: Path) -> Iterator[Bench]:
    """A copy of the trained laboratory with records of its own, to change at will."""
    data = tmp_path / "data"
    shutil.copytree(trained.lab.data, data)
    with dg.DagsterInstance.ephemeral() as instance:
        fresh = bench_at(Laboratory.at(data), instance)
        record_models(instance)
        yield fresh


def vouch_for_models(lab: Laboratory) -> None:
    """Say in the models' cards that they are good enough: so few particles and epochs do not make them so."""
    models = lab.store.models
    network = _vouch(models / "cnn_model" / SCORED_BY.task / SCORED_BY.architecture, "network")
    _vouch(models / "lightgbm_model" / SCORED_BY.task / SCORED_BY.features, "trees")
    _vouch(models / "isolation_forest", "forest", "separation", "roc_auc")
    built_on = load_card(models / "synthetic_umap", "map").built_on
    save_again(models / "synthetic_umap", "map", built_on={**built_on, "network": network.content_hash})


def _vouch(root: UPath, kind: ModelKind, group: str = "validation", metric: str = "balanced_accuracy") -> ModelCard:
    metrics = load_card(root, kind).metrics
    return save_again(root, kind, metrics={**metrics, group: {**metrics[group], metric: 1.0}})


def record_models(instance: dg.DagsterInstance) -> None:
    """Record in a fresh instance that the models of a copied laboratory are there and good enough."""
    for name in (*TRAINED, "synthetic_umap"):
        instance.report_runless_asset_event(dg.AssetMaterialization(name))
    for name, partition in (
        ("cnn_model", str(SCORED_BY.network_key)),
        ("lightgbm_model", str(SCORED_BY.trees_key)),
        ("isolation_forest", None),
    ):
        instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=partition))
        instance.report_runless_asset_event(_passed_gate(instance, name, partition))


def _passed_gate(instance: dg.DagsterInstance, name: str, partition: str | None) -> dg.AssetCheckEvaluation:
    """The record of a passed quality gate on the latest materialisation of a model."""
    asked = dg.AssetRecordsFilter(asset_key=dg.AssetKey(name), asset_partitions=[partition] if partition else None)
    (record,) = instance.fetch_materializations(asked, limit=1).records
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=record.storage_id, run_id=record.event_log_entry.run_id, timestamp=record.timestamp
    )
    return dg.AssetCheckEvaluation(
        dg.AssetKey(name),
        GATE,
        passed=True,
        metadata={},
        partition=partition,
        blocking=True,
        target_materialization_data=target,
    )
