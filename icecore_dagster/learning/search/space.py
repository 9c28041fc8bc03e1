"""What is searched: which networks, and which constants of their training between which bounds."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from icecore_dagster.learning.networks.architectures import ARCHITECTURES
from icecore_dagster.learning.networks.training import TrainingConfig

if TYPE_CHECKING:
    from optuna.trial import Trial

SEARCHED = ("learning_rate", "batch_size", "balanced")
"""Fields of `TrainingConfig` that a search chooses; a network's own transform and dropout belong to its registry."""


@dataclass(frozen=True)
class SearchSpace:
    """Bounds of a search.

    Attributes:
        architectures: keys in the registry to choose from.
        learning_rate: smallest and largest of Adam, drawn on a logarithmic scale.
        batch_sizes: images a step to choose from.
        balanced: whether classes are drawn as they come, equally often, or both ways are tried.
    """

    architectures: tuple[str, ...] = tuple(ARCHITECTURES)
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    batch_sizes: tuple[int, ...] = (16, 32, 64, 128)
    balanced: tuple[bool, ...] = (False, True)

    def __post_init__(self) -> None:
        unknown = [key for key in self.architectures if key not in ARCHITECTURES]
        if unknown or not self.architectures:
            raise ValueError(f"no architecture {', '.join(unknown) or 'given'}; known: {', '.join(ARCHITECTURES)}")


def suggest(trial: "Trial", space: SearchSpace) -> None:
    """Let the sampler choose a point of the space; it is then in the trial's parameters."""
    trial.suggest_categorical("architecture", list(space.architectures))
    trial.suggest_float("learning_rate", *space.learning_rate, log=True)
    trial.suggest_categorical("batch_size", list(space.batch_sizes))
    trial.suggest_categorical("balanced", list(space.balanced))


def training_at(parameters: dict[str, Any], base: TrainingConfig) -> TrainingConfig:
    """How a network is trained at a point of the space; what is not searched stays as in `base`."""
    return replace(base, **{name: parameters[name] for name in SEARCHED})
