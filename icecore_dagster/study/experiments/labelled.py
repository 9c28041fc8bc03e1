"""The labelled particles: how many of each class, and how large they are."""

from collections.abc import Iterator

from icecore_dagster.particles.labels import BY_KEY, TASKS
from icecore_dagster.particles.tables.schemas import SYNTHETIC_PARTICLES
from icecore_dagster.particles.tables.store import read_table
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement

SET = "labelled set"
LABELS = TASKS["six_class"].classes
PROMISES = (
    "labelled.particles",
    *(f"labelled.share.{label}" for label in LABELS),
    "labelled.share.ash",
    "labelled.share.pollen",
)


def labelled_set(bench: Bench) -> Iterator[Measurement]:
    """Number of particles, share of each of the study's six classes, and median size of each label."""
    table = read_table(bench.lab.store.table(SYNTHETIC_PARTICLES.name), ["label", "diameter_abd_um"])
    counts = table["label"].value_counts()
    six = int(counts.reindex(LABELS).sum())
    note = "" if six == len(table) else f"{len(table):,} with contamination, a class that the study did not have"
    yield Measurement(
        "labelled.particles", "", SET, "particles of the study's six classes", six, n=len(table), note=note
    )
    for label in LABELS:
        share = counts.get(label, 0) / six
        yield Measurement(f"labelled.share.{label}", "", SET, f"share of {BY_KEY[label].title}", share, n=six)
    for group, name in (("ash", "ash"), ("pollen", "pollen")):
        members = [label for label in LABELS if TASKS["three_class"].class_of[label] == group]
        yield Measurement(
            f"labelled.share.{group}", "", SET, f"share of {name}", counts.reindex(members).sum() / six, n=six
        )
    for key, sizes in table.groupby("label")["diameter_abd_um"]:
        title = BY_KEY[str(key)].title
        low, median, high = sizes.quantile([0.05, 0.5, 0.95])
        yield Measurement(
            f"labelled.size.{key}",
            "",
            SET,
            f"median Diameter (ABD) of {title}",
            float(median),
            "µm",
            n=len(sizes),
            note=f"5-95 % of the particles: {low:.1f}-{high:.1f} µm",
        )
