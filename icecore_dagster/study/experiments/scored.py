"""The labelled test particles scored as ice is: from the crop and its properties to the mean of both classifiers."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from icecore_dagster.learning.labelled_set import LabelledSet, SplitKind, open_labelled_set, sides_of
from icecore_dagster.learning.metrics import evaluate
from icecore_dagster.learning.networks.training import select_rows
from icecore_dagster.particles.intake.crops import BLOCK
from icecore_dagster.particles.labels import TASKS
from icecore_dagster.scoring.engine import ScoringModels, load_scoring_models, score_blocks
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement, of_classifier, of_summed


def scored_as_ice(bench: Bench, task: str) -> Iterator[Measurement]:
    """What scoring says of test runs: the mean of the network that scores the ice and of LightGBM on the properties.

    Where a coarser task has the same labels, the same answers summed up into its classes are measured too.

    Raises:
        ModelNotFoundError: one of the two was not trained for this task.
        ValueError: one of the two has learnt from test runs, or from other particles.
    """
    labelled = open_labelled_set(bench.lab)
    models = load_scoring_models(bench.lab.store.models, task, DEFAULT_ARCHITECTURE, anomaly=False, embedding=False)
    _refuse_those_that_saw_it(models, labelled)
    rows = select_rows(labelled.table["label"], sides_of(labelled, SplitKind.BY_RUN), TASKS[task])
    blocks = [rows.test[start : start + BLOCK] for start in range(0, len(rows.test), BLOCK)]
    of_test = ((labelled.table.iloc[some], [labelled.tensors.native(int(i)) for i in some]) for some in blocks)
    scored = score_blocks(of_test, models, anomaly=False, embedding=False)
    said = pd.concat([block.predictions for block in scored if block.predictions is not None])
    probabilities = said[[f"p_{name}" for name in TASKS[task].classes]].to_numpy()
    targets = rows.targets[rows.test]
    runs = np.asarray(labelled.table["run"], dtype=object)[rows.test]
    model = f"mean of {DEFAULT_ARCHITECTURE} and LightGBM"
    metrics = evaluate(targets, probabilities, TASKS[task].classes, runs)
    yield from of_classifier(f"{task}.scored.by_run", task, model, metrics, "by run")
    yield from of_summed(f"{task}.scored.summed.by_run", task, model, targets, probabilities, runs)


def _refuse_those_that_saw_it(models: ScoringModels, labelled: LabelledSet) -> None:
    for model in (models.network, models.trees):
        assert model is not None, "predictions ask for both"
        card = model.card
        if card.split_kind != SplitKind.BY_RUN or not labelled.versions.items() <= card.training_data.items():
            raise ValueError(
                f"the {card.kind} of {card.task} learnt from particles that it would be asked for here; measure "
                f"networks/{card.task} and trees/{card.task}/properties again (--again)"
            )
