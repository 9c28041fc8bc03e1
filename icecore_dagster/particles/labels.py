"""What a particle can be: the laboratory's labels, and the tasks that group them into classes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One known material.

    Attributes:
        key: the word in file names and tables.
        title: what people call it.
        colour: one colour for it in every figure (hex).
    """

    key: str
    title: str
    colour: str


LABELS: tuple[Label, ...] = (
    Label("dust", "Dust", "#8c8c8c"),
    Label("camp", "Felsic tephra (Campanian)", "#d9480f"),
    Label("grim", "Basaltic tephra (Grímsvötn)", "#212529"),
    Label("corylus", "Corylus avellana", "#2f9e44"),
    Label("qrob", "Quercus robur", "#1971c2"),
    Label("qsub", "Quercus suber", "#9c36b5"),
    Label("cont", "Contamination / blurry", "#e0a800"),
)

LABEL_KEYS: tuple[str, ...] = tuple(label.key for label in LABELS)
BY_KEY: dict[str, Label] = {label.key: label for label in LABELS}
BACKGROUND_LABELS: tuple[str, ...] = ("dust", "cont")
"""Labels that nobody searches the ice for."""


@dataclass(frozen=True)
class Task:
    """A way of grouping labels into the classes that a model tells apart.

    Attributes:
        key: name in partitions and files.
        classes: class names in the order of the model's outputs.
        class_of: label -> class; a label that is absent takes no part in the task.
    """

    key: str
    classes: tuple[str, ...]
    class_of: dict[str, str]


def _one_class_a_label(key: str, labels: tuple[str, ...]) -> Task:
    return Task(key, labels, {label: label for label in labels})


_SIX = ("dust", "camp", "grim", "corylus", "qrob", "qsub")

TASKS: dict[str, Task] = {
    task.key: task
    for task in (
        Task(
            "three_class",
            ("dust", "ash", "pollen"),
            {"dust": "dust", "camp": "ash", "grim": "ash", "corylus": "pollen", "qrob": "pollen", "qsub": "pollen"},
        ),
        _one_class_a_label("six_class", _SIX),
        _one_class_a_label("pollen", ("corylus", "qrob", "qsub")),
        _one_class_a_label("ash", ("camp", "grim")),
        _one_class_a_label("seven_class", (*_SIX, "cont")),
    )
}


def label_of_run(run: str) -> str | None:
    """The label that a labelled run's name starts with (`camp_11nov_4_fc80_20x` -> `camp`), or None.

    The study's dust runs are called `focustest_...` as well as `dust_...`.
    """
    head = run.split("_", 1)[0].lower()
    head = {"focustest": "dust"}.get(head, head)
    return head if head in BY_KEY else None
