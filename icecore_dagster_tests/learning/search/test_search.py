"""Searching among networks: validation decides, an interrupted search goes on, the best can be trained with."""

import json
import shutil
import sqlite3
from dataclasses import replace

import pytest

from icecore_dagster.learning.networks.training import TrainingConfig
from icecore_dagster.learning.search import study as searching
from icecore_dagster.learning.search.configuration import (
    ConfigurationError,
    configuration_path,
    load_configuration,
    training_with,
)
from icecore_dagster.learning.search.space import SEARCHED, SearchSpace
from icecore_dagster.learning.search.study import SearchConfig, SearchError, search_network, study_path
from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.split import TEST
from icecore_dagster.particles.tables.schemas import SEARCH_TRIALS
from icecore_dagster.particles.tables.store import Store, read_table
from icecore_dagster_tests.learning.published_layout import PublishedLayout

pytestmark = pytest.mark.xdist_group("published")

TASK = "three_class"
SMALL = SearchConfig(
    trials=2,
    epochs=1,
    most_of_label=6,
    threads=1,
    space=SearchSpace(architectures=("A4", "K1"), batch_sizes=(8, 16)),
)


@pytest.fixture
def lab(published: PublishedLayout, tmp_path) -> Laboratory:
    return results_of_its_own(published, tmp_path / "results")


def results_of_its_own(published: PublishedLayout, folder) -> Laboratory:
    """The published laboratory's particles, with another folder of results."""
    theirs = published.lab.data / "results"
    shutil.copytree(theirs / "tables", folder / "tables")
    (folder / "tensors").symlink_to(theirs / "tensors")
    return Laboratory(published.lab.data, Store.at(folder))


@pytest.fixture
def trained_on(monkeypatch) -> list[dict]:
    """What each training of a search was given."""
    calls, real = [], searching.train_network

    def watched(*args, **kwargs):
        calls.append({"sides": args[2], "config": args[5], "architecture": args[4]})
        return real(*args, **kwargs)

    monkeypatch.setattr(searching, "train_network", watched)
    return calls


def search(lab: Laboratory, **changes):
    return search_network(lab, TASK, replace(SMALL, **changes), progress=False)


def test_a_search_keeps_its_best_under_a_name_that_can_be_trained_with(lab):
    found = search(lab)
    complete = found.trials[found.trials["state"] == "complete"]
    assert len(complete) == 2
    first = complete.sort_values("validation_balanced_accuracy").iloc[-1]
    best = load_configuration(lab, f"best_{TASK}")
    assert best == found.best
    assert best.study["validation_balanced_accuracy"] == first["validation_balanced_accuracy"]
    interval = best.study["interval"]
    assert interval["low"] <= best.study["validation_balanced_accuracy"] <= interval["high"]
    assert set(best.training) == set(TrainingConfig.__dataclass_fields__)
    asked = TrainingConfig(epochs=20, seed=9)
    training = training_with(lab, best.name, best.architecture, asked)
    assert (training.epochs, training.seed) == (20, 9)
    assert all(getattr(training, name) == best.training[name] for name in SEARCHED)
    stored = read_table(lab.store.table(SEARCH_TRIALS.name, TASK, found.study))
    assert SEARCH_TRIALS.violations(stored).empty
    assert (stored["kwh"] > 0).all()


def test_a_search_that_is_run_again_only_makes_up_what_is_missing(lab, trained_on):
    search(lab)
    assert len(trained_on) == 2
    search(lab)
    assert len(trained_on) == 2
    found = search(lab, trials=3)
    assert len(trained_on) == 3
    assert found.trials["trial"].tolist() == [0, 1, 2]
    assert found.trials["learning_rate"].is_unique


def test_a_killed_trial_does_not_count(lab, monkeypatch):
    real, calls = searching.train_network, []

    def killed_once(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(searching, "train_network", killed_once)
    with pytest.raises(KeyboardInterrupt):
        search(lab)
    found = search(lab)
    assert (found.trials["state"] == "complete").sum() == 2


def test_the_same_seed_tries_the_same_and_other_conditions_are_another_study(lab, published, tmp_path):
    first = search(lab, trials=1)
    again = search(results_of_its_own(published, tmp_path / "again"), trials=1)
    same = ["learning_rate", "batch_size", "balanced", "architecture", "validation_balanced_accuracy"]
    assert first.trials[same].equals(again.trials[same])
    assert search(lab, trials=1, most_of_label=5).study != first.study


def test_no_more_than_one_test_particle_of_a_label_ever_reaches_a_trial(lab, trained_on):
    search(lab, trials=1)
    assert (trained_on[0]["sides"] == TEST).sum() == len(LABEL_KEYS)


def test_a_loss_that_is_no_number_ends_the_trial_and_not_the_search(lab, monkeypatch):
    real, calls = searching.train_network, []

    def diverges_first(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("training loss is nan in epoch 1: lower the learning rate")
        return real(*args, **kwargs)

    monkeypatch.setattr(searching, "train_network", diverges_first)
    found = search(lab)
    assert found.trials["state"].tolist() == ["pruned", "complete"]

    def always_diverges(*args, **kwargs):
        raise ValueError("training loss is nan in epoch 1: lower the learning rate")

    monkeypatch.setattr(searching, "train_network", always_diverges)
    with pytest.raises(SearchError, match="narrow the learning rates"):
        search(lab, trials=1, seed=5)


def test_a_study_holds_text_and_numbers_only(lab):
    search(lab, trials=1)
    with sqlite3.connect(study_path(lab, TASK)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kinds = set()
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                kinds |= {type(value) for value in row}
        (distribution,) = database.execute(
            "SELECT distribution_json FROM trial_params WHERE param_name = 'learning_rate'"
        ).fetchone()
    assert kinds <= {str, int, float, type(None)}
    assert json.loads(distribution)["attributes"]["log"] is True


def test_a_configuration_of_another_network_is_refused(lab):
    best = search(lab, trials=1).best
    other = "A3"
    with pytest.raises(ConfigurationError, match=f"is for network {best.architecture}, not {other}"):
        training_with(lab, best.name, other, TrainingConfig())


def test_a_configuration_that_is_not_there_names_those_that_are(lab):
    search(lab, trials=1)
    with pytest.raises(ConfigurationError, match=f"known: best_{TASK}"):
        load_configuration(lab, "my_best")
    with pytest.raises(ConfigurationError, match="letters, digits"):
        configuration_path(lab, "../elsewhere")


def test_no_name_leaves_a_training_as_it_was_asked_for(lab):
    asked = TrainingConfig(epochs=7)
    assert training_with(lab, "", "A3", asked) is asked


def test_an_unknown_network_is_refused_by_name():
    with pytest.raises(ValueError, match="no architecture B7"):
        SearchSpace(architectures=("A3", "B7"))


def test_a_laboratory_without_labelled_particles_says_what_to_do(tmp_path):
    with pytest.raises(SearchError, match="materialise synthetic_particles"):
        search_network(Laboratory.at(tmp_path), TASK, SMALL)
