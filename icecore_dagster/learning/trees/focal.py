"""The focal loss, each class against the rest, with what LightGBM needs of it: gradient, Hessian and value."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import lightgbm

_LEAST_HESSIAN = 1e-6


class FocalTerms(NamedTuple):
    """The loss and its first two derivatives by the raw score, each of the shape of the scores."""

    loss: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


@dataclass(frozen=True)
class FocalLoss:
    """FL = -alpha_t (1 - p_t)^gamma log p_t (Lin et al. 2017, arXiv:1708.02002, equation 5).

    p_t is the probability, by the logistic function of the raw score, of what is true: being of the class or not.

    Attributes:
        alpha: weight of particles of the class; those of the rest weigh 1 - alpha.
        gamma: how much less an easy particle counts; 0 is the weighted cross-entropy.
    """

    alpha: float = 0.75
    gamma: float = 2.0

    def terms(self, raw: np.ndarray, is_class: np.ndarray) -> FocalTerms:
        """The loss of raw scores and its exact derivatives.

        With x the raw score, its sign turned for the rest, t = p_t and u = gamma t log t + t - 1:
        dFL/dx = alpha_t (1 - t)^gamma u,
        d2FL/dx2 = alpha_t t (1 - t)^gamma ((1 - t) (gamma log t + gamma + 1) - gamma u).

        Args:
            raw: float (...), log-odds of being of the class.
            is_class: bool (...), whether it is.

        Returns:
            Loss (nats), gradient and Hessian, float64 (...). The Hessian is negative where t < about 0.08: the loss is
            not convex.
        """
        from scipy.special import expit, log_expit

        sign = np.where(is_class, 1.0, -1.0)
        weight = np.where(is_class, self.alpha, 1 - self.alpha)
        towards_truth = sign * raw
        t, log_t, easy = expit(towards_truth), log_expit(towards_truth), expit(-towards_truth)
        scale = weight * easy**self.gamma
        u = self.gamma * t * log_t - easy
        curvature = easy * (self.gamma * log_t + self.gamma + 1) - self.gamma * u
        return FocalTerms(-scale * log_t, sign * scale * u, scale * t * curvature)

    def derivatives(self, raw: np.ndarray, data: "lightgbm.Dataset") -> tuple[np.ndarray, np.ndarray]:
        """LightGBM's custom objective.

        Args:
            raw: float (n, classes).
            data: the training particles, with their weights if they have any.

        Returns:
            Gradient and Hessian, float64 (n, classes). Where the loss is concave a Newton step would lead uphill; there
            the Hessian is held just above 0, and LightGBM grows no leaf that holds nothing else.
        """
        terms = self.terms(raw, _of_class(raw, data))
        weight = _weights(data)
        return terms.gradient * weight, np.maximum(terms.hessian, _LEAST_HESSIAN) * weight

    def measure(self, raw: np.ndarray, data: "lightgbm.Dataset") -> tuple[str, float, bool]:
        """LightGBM's custom metric: the mean loss of a particle, all classes together; less is better."""
        terms = self.terms(raw, _of_class(raw, data))
        return "focal", float((terms.loss * _weights(data)).sum(axis=1).mean()), False


def _of_class(raw: np.ndarray, data: "lightgbm.Dataset") -> np.ndarray:
    return np.asarray(data.get_label())[:, None] == np.arange(raw.shape[1])


def _weights(data: "lightgbm.Dataset") -> np.ndarray:
    weight = data.get_weight()
    return np.ones((1, 1)) if weight is None else np.asarray(weight)[:, None]
