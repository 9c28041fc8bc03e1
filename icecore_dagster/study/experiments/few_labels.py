"""Learning from few labels: a siamese network on labels that it never saw."""

from collections.abc import Iterator

from icecore_dagster.learning.few_labels.episodes import EpisodeConfig
from icecore_dagster.learning.few_labels.fit import fit_siamese
from icecore_dagster.learning.few_labels.siamese import SiameseConfig
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement


def few_labels(bench: Bench) -> Iterator[Measurement]:
    """N-way k-shot accuracy, and what can be said without any example."""
    size = bench.size
    config = SiameseConfig(epochs=size.epochs, seed=size.seed)
    compared = (DEFAULT_TASK, DEFAULT_ARCHITECTURE)
    fitted = fit_siamese(bench.lab, config, EpisodeConfig(), compare_with=compared, country=bench.country)
    held_out = ", ".join(config.held_out)
    for row in fitted.few_shot.to_dict(orient="records"):
        name = f"few_labels.{_slug(row['method'])}.{_slug(row['setting'])}.{row['ways']}way.{row['shots']}shot"
        seen = "; its training saw these labels" if row["saw_held_out"] else f"; never trained on {held_out}"
        yield Measurement(
            name,
            "",
            row["method"],
            f"{row['ways']}-way {row['shots']}-shot accuracy, {row['setting']}",
            row["accuracy"],
            low=row["low"],
            high=row["high"],
            n=row["episodes"],
            note=f"n: episodes; chance is {row['chance']:.2f}{seen}",
        )
    for row in fitted.zero_shot.to_dict(orient="records"):
        yield Measurement(
            f"few_labels.{_slug(row['method'])}.{_slug(row['question'])}",
            "",
            row["method"],
            f"zero-shot ROC AUC: {row['question']}",
            row["roc_auc"],
            low=row["low"],
            high=row["high"],
            n=row["positives"] + row["negatives"],
        )


def _slug(words: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in words.lower()).split())
