"""What knows dust alone: the isolation forest and the autoencoders; and drawn images as training material."""

from collections.abc import Iterator

from icecore_dagster.learning.anomaly.augmentation import AugmentationConfig, measure_augmentation
from icecore_dagster.learning.anomaly.fit import fit_autoencoder, fit_forest
from icecore_dagster.learning.anomaly.forest import ForestConfig
from icecore_dagster.learning.anomaly.reconstruction import AutoencoderConfig
from icecore_dagster.learning.anomaly.separation import Separation
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement, ends, of_classifier, share_called


def isolation_forest(bench: Bench) -> Iterator[Measurement]:
    """Separating power of the forest: dust against all other labels, and against what no class covers."""
    fitted = fit_forest(
        bench.lab, ForestConfig(seed=bench.size.seed), strangers=bench.size.anomalies, country=bench.country
    )
    trained = fitted.trained
    yield from _areas("forest", "isolation forest", trained.separation, trained.separation_from_unknown)


def autoencoder(bench: Bench, kind: str) -> Iterator[Measurement]:
    """Separating power of an autoencoder's reconstruction error, as the forest's."""
    config = AutoencoderConfig(seed=bench.size.seed, epochs=bench.size.epochs)
    fitted = fit_autoencoder(bench.lab, kind, config, strangers=bench.size.anomalies, country=bench.country)
    trained = fitted.trained
    yield from _areas(f"autoencoder.{kind}", f"{kind} autoencoder", trained.separation, trained.separation_from_unknown)


def _areas(stem: str, model: str, known: Separation | None, unknown: Separation | None) -> Iterator[Measurement]:
    if known:
        yield Measurement(
            f"{stem}.roc_auc",
            "",
            model,
            "ROC AUC, held-out dust against other labels, by run",
            known.roc_auc,
            **ends(known.intervals.get("roc_auc")),
            n=known.dust + known.other,
        )
        yield Measurement(
            f"{stem}.average_precision",
            "",
            model,
            "average precision, the same",
            known.average_precision,
            **ends(known.intervals.get("average_precision")),
            n=known.dust + known.other,
            note=f"chance is {known.other / (known.dust + known.other):.2f}",
        )
        for label, area in known.roc_auc_by_label.items():
            bounds = ends(known.intervals_by_label.get(label))
            yield Measurement(f"{stem}.roc_auc.{label}", "", model, f"ROC AUC, dust against {label}", area, **bounds)
    if unknown:
        yield Measurement(
            f"{stem}.roc_auc_unknown",
            "",
            model,
            "ROC AUC, held-out dust against drawn things that no class covers",
            unknown.roc_auc,
            **ends(unknown.intervals.get("roc_auc")),
            n=unknown.dust + unknown.other,
        )


def augmentation(bench: Bench) -> Iterator[Measurement]:
    """The same network with and without images of a rare label drawn by a variational autoencoder."""
    config = AugmentationConfig(epochs=bench.size.epochs, seed=bench.size.seed)
    effect = measure_augmentation(bench.lab, config, country=bench.country)
    note = f"{config.drawn} drawn images of {effect.label} beside {effect.real} real ones"
    for name, metrics in (("without", effect.without), ("with", effect.with_drawn)):
        stem, model, label = f"augmentation.{name}", f"{config.architecture} {name} drawn images", effect.label
        yield from of_classifier(stem, config.task, model, metrics, "by run", note=note)
        words = f"recall of {label}, by run"
        yield share_called(f"{stem}.recall", config.task, model, words, metrics, label, label)
