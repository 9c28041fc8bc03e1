"""Models that learn from tables: LightGBM and a dense network, on measured properties and on features of the image."""

from collections.abc import Iterator

from icecore_dagster.learning.dense.fit import fit_dense
from icecore_dagster.learning.dense.training import DenseConfig
from icecore_dagster.learning.features.sets import feature_set_of
from icecore_dagster.learning.features.transfer import keep_transfer_features
from icecore_dagster.learning.labelled_set import SplitKind
from icecore_dagster.learning.realism.difficulty import measure_difficulty
from icecore_dagster.learning.trees.boosting import Loss, TreesConfig
from icecore_dagster.learning.trees.fit import fit_trees
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement, of_classifier, share_called

SPLITS = {SplitKind.BY_IMAGE: "by_image", SplitKind.BY_RUN: "by_run"}
"""By run comes last, so that the model left in use is the one by run."""
_OTHERS = (("grim", "camp"), ("qrob", "qsub"), ("qsub", "qrob"))


def default_trees(bench: Bench, task: str) -> Iterator[Measurement]:
    """LightGBM with its default settings on the properties, 70/30 by image, as the study's notebooks have it."""
    table = read_table(bench.lab.store.table(SYNTHETIC_PARTICLES.name))
    metrics = measure_difficulty(table, TASKS[task])
    stem, model = f"{task}.lightgbm.properties.default", "LightGBM, default settings, properties"
    yield from of_classifier(stem, task, model, metrics, "70/30 by image")
    for name in metrics.classes:
        yield share_called(f"{stem}.recall.{name}", task, model, f"recall of {name}", metrics, name, name)
    for true, called in _OTHERS:
        if {true, called} <= set(metrics.classes):
            words = f"{true} called {called}"
            yield share_called(f"{stem}.{true}_called_{called}", task, model, words, metrics, true, called)


def trees(bench: Bench, task: str, features: str) -> Iterator[Measurement]:
    """LightGBM on a feature set, divided by image and by run."""
    model = f"LightGBM on {feature_set_of(features).title}"
    for split, name in SPLITS.items():
        config = TreesConfig(seed=bench.size.seed)
        fitted = fit_trees(bench.lab, task, config, features=features, split=split, country=bench.country)
        yield from of_classifier(f"{task}.lightgbm.{features}.{name}", task, model, fitted.trained.test, str(split))


def learned_trees(bench: Bench, task: str) -> Iterator[Measurement]:
    """LightGBM on our own network's features, by run alone: by image, it has seen what would be held out."""
    fitted = fit_trees(bench.lab, task, TreesConfig(seed=bench.size.seed), features="learned", country=bench.country)
    model = f"LightGBM on {feature_set_of('learned').title}"
    yield from of_classifier(f"{task}.lightgbm.learned.by_run", task, model, fitted.trained.test, "by run")


def focal_trees(bench: Bench, task: str) -> Iterator[Measurement]:
    """LightGBM by the focal loss, each class against the rest (alpha 0.75, gamma 2), on the properties.

    The cross-entropy is trained again afterwards, so that the model left in use is that of `trees`.
    """
    model = "LightGBM, focal loss, properties"
    for split, name in SPLITS.items():
        config = TreesConfig(seed=bench.size.seed, loss=Loss.FOCAL)
        fitted = fit_trees(bench.lab, task, config, split=split, country=bench.country)
        yield from of_classifier(f"{task}.lightgbm.focal.{name}", task, model, fitted.trained.test, str(split))
    fit_trees(bench.lab, task, TreesConfig(seed=bench.size.seed), country=bench.country)


def dense(bench: Bench, task: str, features: str) -> Iterator[Measurement]:
    """The dense feed-forward network on a feature set, divided by image and by run."""
    model = f"dense network on {feature_set_of(features).title}"
    for split, name in SPLITS.items():
        config = DenseConfig(seed=bench.size.seed, balanced=True)
        fitted = fit_dense(bench.lab, task, config, features=features, split=split, country=bench.country)
        yield from of_classifier(f"{task}.dense.{features}.{name}", task, model, fitted.trained.test, str(split))


def transfer_features(bench: Bench) -> Iterator[Measurement]:
    """Features of every labelled image by a network that learnt ImageNet."""
    kept = keep_transfer_features(bench.lab)
    model = "EfficientNet-Lite0, ImageNet weights"
    yield Measurement("transfer.images", "", model, "images", kept.particles, n=kept.particles)
    yield Measurement("transfer.speed", "", model, "speed", kept.images_a_second, "images/s", n=kept.particles)
