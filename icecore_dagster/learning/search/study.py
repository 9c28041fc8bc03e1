"""The search itself: trainings tried one after another, kept in SQLite, resumed where they stopped.

Only validation runs decide. Parameters, results and costs are kept as numbers and JSON, never as pickled objects.
"""

import hashlib
import json
import logging
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from tqdm import tqdm
from upath import UPath

from icecore_dagster.learning.energy import measure_energy
from icecore_dagster.learning.labelled_set import LabelledSet, SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.networks.architectures import architecture_of
from icecore_dagster.learning.networks.training import LabelledDataError, TrainingConfig, select_rows, train_network
from icecore_dagster.learning.search.configuration import NamedConfiguration, configuration_path, save_configuration
from icecore_dagster.learning.search.space import SEARCHED, SearchSpace, suggest, training_at
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import TEST, TRAIN, VALIDATION, thin
from icecore_dagster.particles.tables.schemas import SEARCH_TRIALS, SYNTHETIC_SPLIT
from icecore_dagster.particles.tables.store import is_local, local_path, write_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from optuna import Study
    from optuna.trial import FrozenTrial, Trial

log = logging.getLogger(__name__)


class SearchError(RuntimeError):
    """A search has no result."""


@dataclass(frozen=True)
class SearchConfig:
    """How networks are searched for.

    Attributes:
        trials: trainings in all; a search that is run again only makes up what is missing.
        epochs: passes over the training images of each trial at most.
        patience: stop a trial after so many epochs without a lower validation loss.
        most_of_label: training images of each label at most, a third as many for validation; None for all.
        seed: of the sampler, and of every trial's training.
        threads: of the processor; None for torch's choice.
        space: what is searched.
    """

    trials: int = 12
    epochs: int = 4
    patience: int = 3
    most_of_label: int | None = 500
    seed: int = 0
    threads: int | None = None
    space: SearchSpace = field(default_factory=SearchSpace)


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        study: its id.
        trials: `schemas.SEARCH_TRIALS`, a row a trial.
        importance: share of the spread of the results that each parameter explains; empty for too few trials.
        best: the best trial as it was saved.
        saved_at: where.
    """

    study: str
    trials: pd.DataFrame
    importance: dict[str, float]
    best: NamedConfiguration
    saved_at: UPath


def search_network(
    lab: Laboratory,
    task: str,
    config: SearchConfig | None = None,
    *,
    name: str = "",
    country: str = "DNK",
    progress: bool = True,
) -> SearchResult:
    """Try networks and constants of their training, and keep what validation runs like best under a name.

    A trial's result is its balanced accuracy on the validation runs; test runs are not looked at. Trials under the same
    conditions (data, division, epochs, images, seed, space) make up one study, which is taken up again.

    Args:
        lab: the laboratory.
        task: key of the task.
        config: how to search.
        name: of the configuration; `best_<task>` if empty.
        country: ISO code of the country whose electricity is used.
        progress: show a progress bar.

    Raises:
        LabelledDataError: the labelled particles do not suffice.
        SearchError: there are no labelled particles, or no trial led to a result.
    """
    config, name = config or SearchConfig(), name or f"best_{task}"
    configuration_path(lab, name)
    if not lab.store.table(SYNTHETIC_SPLIT.name).exists():
        raise SearchError(
            f"no labelled particles in {lab.store.root}: materialise synthetic_particles, synthetic_split and "
            "synthetic_tensors first (job prepare_labelled)"
        )
    labelled = open_labelled_set(lab)
    bench = _Bench(labelled, _thinned(labelled, config.most_of_label), task, config, country)
    conditions = bench.conditions()
    study_id = f"{task}-{hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()[:12]}"
    with _opened(study_path(lab, task), study_id, config.seed) as study:
        _make_up(study, bench, config.trials, progress)
        trials = _as_table(study, task)
        write_table(lab.store.table(SEARCH_TRIALS.name, task, study_id), trials, SEARCH_TRIALS, conditions)
        if not any(trials["state"] == "complete"):
            raise SearchError(f"none of {len(trials)} trials of {study_id} led to a result; narrow the learning rates")
        best = _named(name, task, study, config, conditions)
        return SearchResult(study_id, trials, _importance(study), best, save_configuration(lab, best))


def study_path(lab: Laboratory, task: str) -> Path:
    """The SQLite file of a task's studies: among the results, or in the scratch folder where those are remote."""
    root = local_path(lab.store.root) if is_local(lab.store.root) else lab.scratch
    return root / "search" / f"{task}.sqlite3"


@dataclass(frozen=True)
class _Bench:
    """What every trial of a search has in common."""

    labelled: LabelledSet
    sides: pd.Series
    task: str
    config: SearchConfig
    country: str

    def conditions(self) -> dict[str, Any]:
        """What makes results comparable; raises if the labelled particles do not suffice."""
        select_rows(self.labelled.table["label"], self.sides, TASKS[self.task])
        sides = hashlib.sha256("\n".join(self.sides).encode()).hexdigest()
        unlike = asdict(self.config)
        del unlike["trials"], unlike["threads"]
        conditions = {"data": self.labelled.versions, "sides": sides, "split": str(SplitKind.BY_RUN), **unlike}
        return json.loads(json.dumps(conditions))  # as it reads when it comes back from a file

    def try_out(self, trial: "Trial") -> float:
        """Train at a point of the space; the balanced accuracy on the validation runs."""
        import optuna

        suggest(trial, self.config.space)
        architecture, table = trial.params["architecture"], self.labelled.table
        try:
            with measure_energy(self.country) as meter:
                trained = train_network(
                    self.labelled.tensors,
                    table["label"],
                    self.sides,
                    TASKS[self.task],
                    architecture,
                    training_at(trial.params, _base(self.config)),
                    table["run"],
                    feature_matrix(table, architecture_of(architecture).features),
                )
        except LabelledDataError:
            raise
        except ValueError as error:  # a loss that is no number: this learning rate is too high for this network
            log.warning("trial %d: %s", trial.number, error)
            trial.set_user_attr("refused", str(error))
            raise optuna.TrialPruned(str(error)) from error
        finally:
            trial.set_user_attr("energy", asdict(meter.use))
        trial.set_user_attr("best_epoch", trained.best_epoch)
        trial.set_user_attr("interval", trained.validation.intervals["balanced_accuracy"].model_dump())
        return trained.validation.balanced_accuracy


def _base(config: SearchConfig) -> TrainingConfig:
    """How every trial is trained but for what is searched."""
    return TrainingConfig(
        epochs=config.epochs,
        patience=config.patience,
        most_of_label=config.most_of_label,
        seed=config.seed,
        threads=config.threads,
    )


def _thinned(labelled: LabelledSet, most_of_label: int | None) -> pd.Series:
    sides = sides_of(labelled, SplitKind.BY_RUN)
    # The training loop reports on a test side; one image of each label is the least it can have, and nobody looks.
    most = {TEST: 1}
    if most_of_label:
        most |= {TRAIN: most_of_label, VALIDATION: max(most_of_label // 3, 1)}
    return thin(labelled.table, sides, most)


@contextmanager
def _opened(path: Path, study_id: str, seed: int) -> "Iterator[Study]":
    """A study in its SQLite file, made if it is new."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=study_id,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.NopPruner(),
        )
        # A sampler that is taken up again would repeat its first draws under the same seed.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials), n_startup_trials=6)
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _make_up(study: "Study", bench: _Bench, trials: int, progress: bool) -> None:
    """Try what is missing to the wanted number of trials; those that were killed on the way do not count."""
    from optuna.trial import TrialState

    finished = len(study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED)))
    missing = max(0, trials - finished)
    with tqdm(total=finished + missing, initial=finished, desc=f"search {bench.task}", disable=not progress) as bar:

        def tell(study: "Study", trial: "FrozenTrial") -> None:
            bar.update()
            if any(t.state == TrialState.COMPLETE for t in study.trials):
                bar.set_postfix_str(f"best {study.best_value:.3f} ({study.best_params['architecture']})")

        if missing:
            study.optimize(bench.try_out, n_trials=missing, callbacks=[tell])


def _as_table(study: "Study", task: str) -> pd.DataFrame:
    """`schemas.SEARCH_TRIALS` of every trial that has ended."""
    rows = []
    for trial in study.trials:
        if not trial.state.is_finished():
            continue
        energy = trial.user_attrs.get("energy", {})
        rows.append(
            {
                "study": study.study_name,
                "task": task,
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "validation_balanced_accuracy": trial.value,
                "best_epoch": trial.user_attrs.get("best_epoch"),
                **{key: trial.params.get(key) for key in ("architecture", *SEARCHED)},
                **{key: energy.get(key) for key in ("seconds", "kwh", "co2eq_g", "car_km")},
                "method": energy.get("method", ""),
            }
        )
    return pd.DataFrame(rows, columns=[column.name for column in SEARCH_TRIALS.columns])


def _importance(study: "Study") -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    varied = {trial.value for trial in study.trials if trial.value is not None}
    if len(varied) < 2:
        return {}
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in shares.items()}


def _named(
    name: str, task: str, study: "Study", config: SearchConfig, conditions: dict[str, Any]
) -> NamedConfiguration:
    best = study.best_trial
    return NamedConfiguration(
        name=name,
        task=task,
        architecture=best.params["architecture"],
        training=asdict(training_at(best.params, _base(config))),
        searched=SEARCHED,
        study={
            "id": study.study_name,
            "trial": best.number,
            "trials": len(study.trials),
            "validation_balanced_accuracy": best.value,
            "interval": best.user_attrs.get("interval", {}),
            "conditions": conditions,
        },
        created_at=datetime.now(UTC),
    )
