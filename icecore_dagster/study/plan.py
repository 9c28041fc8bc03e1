"""What a study measures, in order: the experiments, and the sections of its page."""

from functools import partial

from icecore_dagster.learning.anomaly.autoencoders import AUTOENCODERS
from icecore_dagster.learning.networks.architectures import ARCHITECTURES
from icecore_dagster.study.experiments import (
    anomalies,
    energy,
    few_labels,
    ice,
    labelled,
    maps,
    networks,
    scored,
    search,
    tabular,
)
from icecore_dagster.study.measurement import SUMMED
from icecore_dagster.study.page import Section
from icecore_dagster.study.published import PUBLISHED
from icecore_dagster.study.runner import Experiment

SECTIONS = (
    Section("Labelled particles", ("labelled",)),
    Section("Measured properties", ("default/", "trees/")),
    Section("Image networks", ("networks/", "whole/", "scored/")),
    Section("Transferred features", ("transfer", "dense/")),
    Section("Anomalies", ("anomalies/",)),
    Section("Maps", ("maps/",)),
    Section("Ice", ("ice",)),
    Section("Few labels", ("few_labels",)),
    Section("Search", ("search",)),
    Section("Energy", ("energy",)),
)
IMAGE_TASKS = ("seven_class", "six_class", "three_class", "pollen")
TREE_TASKS = ("three_class", "six_class", "pollen", "ash")
_DENSE = (
    *((task, "transfer") for task in TREE_TASKS),
    ("three_class", "properties_transfer"),
    ("six_class", "properties_transfer"),
)
"""The study's six combinations."""


def study_plan() -> tuple[Experiment, ...]:
    """Every experiment; later ones use models that earlier ones left."""
    return (
        Experiment("labelled", "The labelled set", labelled.labelled_set, labelled.PROMISES),
        *(_default(task) for task in ("three_class", "six_class")),
        *(
            _trees(task, features)
            for features in ("properties", "no_raw_grey")
            for task in (*TREE_TASKS, "seven_class")
        ),
        Experiment(
            "trees/six_class/focal",
            "LightGBM by the focal loss",
            partial(tabular.focal_trees, task="six_class"),
            _published_of("six_class.lightgbm.focal"),
        ),
        Experiment("networks/parameters", "Weights", networks.count_parameters, networks.PARAMETER_PROMISES),
        *(_network(task, architecture) for task in IMAGE_TASKS for architecture in ARCHITECTURES),
        *(_whole(task, "A3") for task in ("three_class", "six_class")),
        *(_scored(task) for task in IMAGE_TASKS),
        Experiment("transfer", "ImageNet features", tabular.transfer_features),
        *(_trees(task, features) for features in ("transfer", "properties_transfer") for task in TREE_TASKS),
        *(_learned(task) for task in ("three_class", "six_class", "pollen")),
        *(_dense(task, features) for task, features in _DENSE),
        Experiment("anomalies/forest", "Isolation forest", anomalies.isolation_forest, ("forest.roc_auc",)),
        *(_autoencoder(kind) for kind in AUTOENCODERS),
        Experiment("anomalies/augmentation", "Drawn images as training material", anomalies.augmentation),
        Experiment("maps/labelled", "Map of the labelled particles", maps.labelled_map),
        Experiment("ice", "Ice cores", ice.ice_cores, ice.PROMISES),
        Experiment("maps/ice", "Map of the ice alone", maps.ice_map, ("maps.ice.share",)),
        Experiment("few_labels", "Zero, one and few examples", few_labels.few_labels),
        Experiment("search", "Architecture and training constants", search.hyperparameters),
        Experiment("energy", "Energy", energy.total_energy, energy.PROMISES),
    )


def _default(task: str) -> Experiment:
    stem = f"{task}.lightgbm.properties.default"
    return Experiment(
        f"default/{task}",
        f"LightGBM as the study's notebooks have it, {task.replace('_', ' ')}",
        partial(tabular.default_trees, task=task),
        _published_of(stem),
    )


def _trees(task: str, features: str) -> Experiment:
    stem = f"{task}.lightgbm.{features}"
    return Experiment(
        f"trees/{task}/{features}",
        f"LightGBM, {task.replace('_', ' ')}, {features.replace('_', ' ')}",
        partial(tabular.trees, task=task, features=features),
        (f"{stem}.by_run.accuracy", *(name for name in _published_of(stem) if ".default." not in name)),
    )


def _learned(task: str) -> Experiment:
    return Experiment(
        f"trees/{task}/learned",
        f"LightGBM, {task.replace('_', ' ')}, features of our own network",
        partial(tabular.learned_trees, task=task),
    )


def _dense(task: str, features: str) -> Experiment:
    return Experiment(
        f"dense/{task}/{features}",
        f"Dense network, {task.replace('_', ' ')}, {features.replace('_', ' ')}",
        partial(tabular.dense, task=task, features=features),
        (f"{task}.dense.{features}.by_run.accuracy",),
    )


def _autoencoder(kind: str) -> Experiment:
    return Experiment(
        f"anomalies/autoencoder/{kind}",
        f"{kind.capitalize()} autoencoder",
        partial(anomalies.autoencoder, kind=kind),
        (f"autoencoder.{kind}.roc_auc",),
    )


def _network(task: str, architecture: str) -> Experiment:
    stem = f"{task}.{architecture}"
    return Experiment(
        f"networks/{task}/{architecture}",
        f"{architecture}, {task.replace('_', ' ')}",
        partial(networks.train, task=task, architecture=architecture),
        (*_by_run(stem, task), *_published_of(stem)),
    )


def _whole(task: str, architecture: str) -> Experiment:
    return Experiment(
        f"whole/{task}/{architecture}",
        f"{architecture} on all training images, {task.replace('_', ' ')}",
        partial(networks.train_whole, task=task, architecture=architecture),
        _by_run(f"{task}.{architecture}.whole", task),
    )


def _scored(task: str) -> Experiment:
    return Experiment(
        f"scored/{task}",
        f"Scored as ice is, {task.replace('_', ' ')}",
        partial(scored.scored_as_ice, task=task),
        _by_run(f"{task}.scored", task),
    )


def _by_run(stem: str, task: str) -> tuple[str, ...]:
    """Ids of the accuracy by run, in the task itself and, where it is so measured, summed up into a coarser one."""
    stems = (stem, f"{stem}.summed") if task in SUMMED else (stem,)
    return tuple(f"{stem}.by_run.accuracy" for stem in stems)


def _published_of(stem: str) -> tuple[str, ...]:
    """Ids of published figures that start so: an experiment that measures the subject must measure them."""
    return tuple(name for name in PUBLISHED if name.startswith(f"{stem}."))
