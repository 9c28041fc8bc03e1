"""Named configurations: what a search found best, kept as JSON for whoever trains with it."""

import re
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from upath import UPath

from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.store import atomic_file

FORMAT_VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class ConfigurationError(ValueError):
    """A named configuration is not there, or is for another network."""


class NamedConfiguration(BaseModel):
    """A network and how to train it.

    Attributes:
        name: under which it is kept.
        format_version: of the file.
        task: key of the task that it was found for.
        architecture: key in the registry.
        training: every field of `TrainingConfig` as it was when the search tried it.
        searched: those of them that the search chose; only these are taken over.
        study: facts of the search: its id, trials, validation balanced accuracy by run with its interval, conditions.
        created_at: when, with time zone.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    format_version: int = FORMAT_VERSION
    task: str
    architecture: str
    training: dict[str, Any]
    searched: tuple[str, ...]
    study: dict[str, Any]
    created_at: datetime

    def applied_to(self, config: TrainingConfig) -> TrainingConfig:
        """A training with the constants that the search chose; epochs, seed and threads stay the caller's."""
        return replace(config, **{name: self.training[name] for name in self.searched})


def configuration_path(lab: Laboratory, name: str) -> UPath:
    """Where a configuration of that name is kept: `results/configurations/<name>.json`.

    Raises:
        ConfigurationError: the name is no plain word.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{name!r}: name a configuration with letters, digits, - and _ only")
    return lab.store.root / "configurations" / f"{name}.json"


def save_configuration(lab: Laboratory, configuration: NamedConfiguration) -> UPath:
    """Keep a configuration under its name, in the place of an earlier one; returns where."""
    target = configuration_path(lab, configuration.name)
    with atomic_file(target) as path:
        path.write_text(configuration.model_dump_json(indent=2), encoding="utf-8")
    return target


def load_configuration(lab: Laboratory, name: str) -> NamedConfiguration:
    """Read a configuration.

    Raises:
        ConfigurationError: there is none of that name, or it is not of this version.
    """
    path = configuration_path(lab, name)
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.json")) if path.parent.exists() else []
        raise ConfigurationError(
            f"no configuration {name!r}; known: {', '.join(known) or 'none'}. `icecore search` makes one"
        )
    try:
        configuration = NamedConfiguration.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigurationError(f"{path} is no configuration of this version ({error}); search again") from error
    if configuration.format_version != FORMAT_VERSION:
        raise ConfigurationError(
            f"{path} is of format {configuration.format_version}, not {FORMAT_VERSION}; search again"
        )
    return configuration


def training_with(lab: Laboratory, name: str, architecture: str, config: TrainingConfig) -> TrainingConfig:
    """A training with the constants of a named configuration; the training as it is where no name is given.

    Raises:
        ConfigurationError: there is no such configuration, or it was found for another network.
    """
    if not name:
        return config
    configuration = load_configuration(lab, name)
    if configuration.architecture != architecture:
        raise ConfigurationError(
            f"configuration {name!r} is for network {configuration.architecture}, not {architecture}: "
            f"train {configuration.architecture} with it"
        )
    return configuration.applied_to(config)
