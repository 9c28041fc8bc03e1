"""Is a trained model good enough to score with? The answer gates everything that it would score."""

from icecore_dagster.learning.models.card import ModelCard
from icecore_dagster.particles.tables.plausibility import Outcome

LEAST_ROC_AUC = 0.6
"""Separating power below which a forest does not tell dust from anything else; 0.5 is chance."""


def least_balanced_accuracy(n_classes: int) -> float:
    """A third of the way from guessing (1/n) to never being wrong."""
    return 1 / n_classes + (1 - 1 / n_classes) / 3


def good_enough(card: ModelCard) -> Outcome:
    """Whether a classifier or a forest does clearly better than guessing on runs that it did not learn from.

    Args:
        card: of a network, trees or forest.

    Returns:
        For classifiers, balanced accuracy on the validation particles against `least_balanced_accuracy`; for the
        forest, ROC AUC of held-out dust and the other held-out particles against `LEAST_ROC_AUC`.
    """
    if card.kind == "forest":
        separation = card.metrics.get("separation")
        if separation is None:
            return Outcome(True, "no labelled particle but dust was held out: separating power unknown")
        reached, least, what = separation["roc_auc"], LEAST_ROC_AUC, "ROC AUC of dust against the rest"
    else:
        reached = card.metrics["validation"]["balanced_accuracy"]
        least, what = least_balanced_accuracy(len(card.classes)), "balanced accuracy on validation runs"
    passed = reached >= least
    summary = f"{what} {reached:.3f}, at least {least:.3f} is needed"
    if not passed:
        summary += "; train longer, or on more labelled particles"
    return Outcome(passed, summary, numbers={"reached": float(reached), "least": float(least)})
