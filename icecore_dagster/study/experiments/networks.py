"""The image networks: their weights counted, and each trained for each task, by run and as the study divided them."""

from collections.abc import Iterator

import numpy as np

from icecore_dagster.learning.energy import EnergyUse
from icecore_dagster.learning.intervals import classification_intervals
from icecore_dagster.learning.labelled_set import SplitKind, open_labelled_set
from icecore_dagster.learning.networks.architectures import ARCHITECTURES, parameter_count
from icecore_dagster.learning.networks.fit import FittedNetwork, fit_network
from icecore_dagster.learning.networks.training import TrainedNetwork, TrainingConfig
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE
from icecore_dagster.study.bench import Bench, StudySize
from icecore_dagster.study.measurement import Measurement, ends, of_classifier, of_summed, share_called
from icecore_dagster.study.published import PUBLISHED

FOUR_GROUPS = {"dust": "dust", "camp": "tephra", "grim": "tephra", "cont": "contamination"} | dict.fromkeys(
    ("corylus", "qrob", "qsub"), "pollen"
)


def count_parameters(bench: Bench) -> Iterator[Measurement]:
    """Weights of every registered network, at the published number of classes where there is one."""
    for key, plan in ARCHITECTURES.items():
        classes = plan.published_classes or len(TASKS["seven_class"].classes)
        weights = parameter_count(key, classes)
        yield Measurement(f"parameters.{key}", "", key, f"weights with {classes} classes", weights, n=classes)


PARAMETER_PROMISES = tuple(f"parameters.{key}" for key in ARCHITECTURES)


def train(bench: Bench, task: str, architecture: str) -> Iterator[Measurement]:
    """Train one network: on the study's split by image where that is asked for or was published, then by run.

    The model that is left in use is the one by run.
    """
    stem = f"{task}.{architecture}"
    published = any(name.startswith(f"{stem}.by_image.") for name in PUBLISHED)
    sees_all = bench.size.whole_epochs is not None and architecture == DEFAULT_ARCHITECTURE
    if published or (bench.size.by_image and not sees_all and not _is_slow(bench, task, architecture)):
        fitted = _fitted(bench, task, architecture, SplitKind.BY_IMAGE)
        yield from of_classifier(
            f"{stem}.by_image", task, architecture, fitted.trained.test, "by image", note=_how(fitted)
        )
        yield from _follow_up(bench, f"{stem}.by_image", task, architecture, fitted.trained)
    yield from _of_run(bench, stem, architecture, _fitted(bench, task, architecture, SplitKind.BY_RUN))


def train_whole(bench: Bench, task: str, architecture: str) -> Iterator[Measurement]:
    """Train one network on all training images, by run: beside the network that scores the ice, on equal terms."""
    config = _whole(bench.size)
    fitted = fit_network(bench.lab, task, architecture, config, split=SplitKind.BY_RUN, country=bench.country)
    yield from _of_run(bench, f"{task}.{architecture}.whole", f"{architecture}, all training images", fitted)


def _of_run(bench: Bench, stem: str, model: str, fitted: FittedNetwork) -> Iterator[Measurement]:
    """Figures of a network divided by run: in its task, summed up into a coarser one, and what its training cost."""
    trained, note = fitted.trained, _how(fitted)
    yield from of_classifier(f"{stem}.by_run", trained.task, model, trained.test, "by run", note=note)
    tested = open_labelled_set(bench.lab).table.iloc[trained.test_rows]
    index = {label: trained.classes.index(name) for label, name in TASKS[trained.task].class_of.items()}
    targets, runs = np.array([index[label] for label in tested["label"]]), tested["run"].to_numpy(dtype=object)
    said = trained.test_probabilities
    yield from of_summed(f"{stem}.summed.by_run", trained.task, model, targets, said, runs, note=note)
    if fitted.card.energy:
        yield from energy_of(stem, trained.task, model, fitted.card.energy, len(trained.history))


def _whole(size: StudySize) -> TrainingConfig:
    return TrainingConfig(epochs=size.whole_epochs or size.epochs, seed=size.seed)


def _fitted(bench: Bench, task: str, architecture: str, split: SplitKind) -> FittedNetwork:
    size = bench.size
    if size.whole_epochs is not None and architecture == DEFAULT_ARCHITECTURE:
        config = _whole(size)
    else:
        slow = _is_slow(bench, task, architecture)
        config = TrainingConfig(
            epochs=size.slow_epochs if slow else size.epochs,
            most_of_label=size.slow_most_of_label if slow else size.most_of_label,
            balanced=True,
            seed=size.seed,
        )
    return fit_network(bench.lab, task, architecture, config, split=split, country=bench.country)


def _is_slow(bench: Bench, task: str, architecture: str) -> bool:
    return parameter_count(architecture, len(TASKS[task].classes)) > bench.size.slow_parameters


def _how(fitted: FittedNetwork) -> str:
    trained = fitted.trained
    most = trained.config.most_of_label
    limit = f"at most {most:,} of a label" if most else "all training images"
    return f"{len(trained.history)} epochs, best {trained.best_epoch}; {limit}"


def _follow_up(bench: Bench, stem: str, task: str, architecture: str, trained: TrainedNetwork) -> Iterator[Measurement]:
    """Recalls and the four groups of the published follow-up, for the task that has its seven classes."""
    if set(trained.classes) != set(FOUR_GROUPS):
        return
    tested = open_labelled_set(bench.lab).table.iloc[trained.test_rows]
    group = {name: sorted(set(FOUR_GROUPS.values())).index(of_name) for name, of_name in FOUR_GROUPS.items()}
    true = tested["label"].map(group).to_numpy()
    called = np.array([group[name] for name in trained.classes])[trained.test_probabilities.argmax(axis=1)]
    bounds = classification_intervals(true, called, tested["run"], len(group))["accuracy"]
    yield Measurement(
        f"{stem}.four_groups",
        task,
        architecture,
        "accuracy of dust, tephra, pollen, contamination, by image",
        float(np.mean(true == called)),
        **ends(bounds),
        n=len(tested),
    )
    for name in trained.classes:
        words = f"recall of {name}, by image"
        yield share_called(f"{stem}.recall.{name}", task, architecture, words, trained.test, name, name)


def energy_of(stem: str, task: str, model: str, use: EnergyUse, epochs: int) -> Iterator[Measurement]:
    """What a training cost, as the study counts it."""
    for name, value, unit in (
        ("seconds", use.seconds, "s"),
        ("kwh", use.kwh, "kWh"),
        ("co2eq_g", use.co2eq_g, "g CO₂eq"),
        ("car_km", use.car_km, "km by car"),
    ):
        if value is not None:
            yield Measurement(
                f"{stem}.{name}",
                task,
                model,
                f"training: {name}",
                value,
                unit,
                n=epochs,
                note=f"n: epochs; {use.method}",
            )
