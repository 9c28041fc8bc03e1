"""What a study sets out to measure, and how it goes on after an interruption."""

import json

import numpy as np
import pytest

from icecore_dagster.learning.metrics import evaluate
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.study.bench import QUICK, SIMULATED, Bench
from icecore_dagster.study.command import chosen_experiments
from icecore_dagster.study.measurement import Measurement, Record, share_called
from icecore_dagster.study.page import study_rows, write_study_page
from icecore_dagster.study.plan import SECTIONS, study_plan
from icecore_dagster.study.published import PUBLISHED
from icecore_dagster.study.runner import Experiment, StudyError, kept_record, record_path, run_experiments

PLAN = study_plan()


@pytest.fixture
def bench(tmp_path, monkeypatch) -> Bench:
    monkeypatch.setattr(Bench, "version", "of the test")
    return Bench(Laboratory.at(tmp_path / "data"), QUICK, SIMULATED)


def test_every_published_figure_is_promised_by_an_experiment():
    promised = {name for experiment in PLAN for name in experiment.promises}
    assert set(PUBLISHED) <= promised


def test_every_experiment_has_its_own_key_and_a_place_on_the_page():
    keys = [experiment.key for experiment in PLAN]
    assert len(set(keys)) == len(keys)
    for key in keys:
        assert sum(key.startswith(section.experiments) for section in SECTIONS) == 1, key


def test_experiments_are_chosen_by_key_or_by_subject():
    assert [one.key for one in chosen_experiments(PLAN, ["networks/parameters"])] == ["networks/parameters"]
    of_pollen = {one.key for one in chosen_experiments(PLAN, ["networks/pollen"])}
    assert "networks/pollen/A4" in of_pollen and "networks/three_class/A4" not in of_pollen
    assert chosen_experiments(PLAN, []) == list(PLAN)
    with pytest.raises(StudyError, match="--list"):
        chosen_experiments(PLAN, ["network"])


def _counted(key: str, calls: list[str], *, fails: bool = False, promises: tuple[str, ...] = ()) -> Experiment:
    def measure(bench):
        calls.append(key)
        if fails:
            raise ValueError("no particles of grim")
        yield Measurement(f"{key}.accuracy", "six_class", "A3", "accuracy, by run", 0.9, low=0.8, high=0.95, n=100)

    return Experiment(key, key, measure, promises)


def test_what_is_measured_is_not_measured_again(bench):
    calls: list[str] = []
    first = run_experiments(bench, [_counted("a", calls)])
    second = run_experiments(bench, [_counted("a", calls), _counted("b", calls)])
    assert calls == ["a", "b"]
    assert second[0].measurements == first[0].measurements
    run_experiments(bench, [_counted("a", calls)], again=True)
    assert calls == ["a", "b", "a"]


def test_other_data_is_measured_anew(bench, monkeypatch):
    calls: list[str] = []
    run_experiments(bench, [_counted("a", calls)])
    monkeypatch.setattr(Bench, "version", "of other particles")
    assert kept_record(bench, "a") is None
    run_experiments(bench, [_counted("a", calls)])
    assert calls == ["a", "a"]


def test_a_failing_experiment_says_why_lets_the_others_go_on_and_is_tried_again(bench):
    calls: list[str] = []
    records = run_experiments(bench, [_counted("a", calls, fails=True), _counted("b", calls)])
    assert records[0].trouble == "ValueError: no particles of grim"
    assert records[1].measurements and not records[1].trouble
    run_experiments(bench, [_counted("a", calls)])
    assert calls == ["a", "b", "a"]


def test_an_experiment_must_keep_its_promises(bench):
    (record,) = run_experiments(bench, [_counted("a", [], promises=("a.accuracy", "a.recall"))])
    assert "did not measure a.recall" in record.trouble


def test_a_record_of_another_version_is_measured_again(bench):
    calls: list[str] = []
    run_experiments(bench, [_counted("a", calls)])
    path = record_path(bench, "a")
    stored = json.loads(path.read_text())
    stored["measurements"][0]["confidence"] = 1
    path.write_text(json.dumps(stored))
    assert Record.load(path) is None
    run_experiments(bench, [_counted("a", calls)])
    assert calls == ["a", "a"]


def test_the_page_and_its_json_hold_every_figure_beside_the_published_one(bench, tmp_path):
    one = Measurement("six_class.lightgbm.focal.by_image.accuracy", "six_class", "LightGBM", "accuracy", 0.9, n=50)
    other = Measurement("six_class.A3.kwh", "six_class", "A3", "training: kwh", 0.02, "kWh", note="an estimate")
    experiments = [
        Experiment("trees/six_class/focal", "Focal loss", lambda bench: [one]),
        Experiment("networks/six_class/A3", "A3", lambda bench: [other]),
    ]
    records = run_experiments(bench, experiments)
    experiments.append(Experiment("few_labels", "Few examples", lambda bench: []))
    page = bench.lab.store.report("study.html")
    write_study_page(bench, experiments, records, SECTIONS, page, "icecore study --quick")
    rows = json.loads(page.with_name("study.json").read_text())
    assert rows == study_rows(records, "icecore study --quick")
    assert [row["published"] for row in rows] == [0.9086, 0.021607]
    assert rows[0]["command"] == "icecore study --quick --only trees/six_class/focal"
    assert {row["data"] for row in rows} == {SIMULATED}
    html = page.read_text()
    for row in rows:
        assert row["command"] in html and f'id="{row["id"]}"' in html
    assert "<dd>2 of 3</dd>" in html
    assert "1 experiment is not measured yet" in html and "icecore study --quick --only few_labels" in html
    assert "0.909" in html and "0.0216\u00a0kWh" in html and "data:image/png;base64" in html


def test_the_share_of_a_class_called_another_has_its_interval_and_needs_particles_of_the_class():
    targets, said = np.repeat([0, 1], 100), np.repeat([0, 1, 0, 1], [80, 20, 10, 90])
    runs = [f"{target}_{i % 4}" for i, target in enumerate(targets)]
    metrics = evaluate(targets, np.eye(3)[said], ("qrob", "qsub", "cont"), runs)
    one = share_called(
        "six_class.A3.qrob_called_qsub", "six_class", "A3", "robur called suber", metrics, "qrob", "qsub"
    )
    assert one.ours == 0.2 and one.n == 100
    assert one.low is not None and one.high is not None and 0.05 < one.low < 0.2 < one.high < 0.35
    with pytest.raises(ValueError, match="no test particles of cont"):
        share_called("x", "six_class", "A3", "recall of cont", metrics, "cont", "cont")
