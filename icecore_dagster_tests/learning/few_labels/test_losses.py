import math

import pytest
import torch

from icecore_dagster.learning.few_labels.losses import contrastive_loss, triplet_loss


def _at(*degrees: float) -> torch.Tensor:
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_contrastive_loss_is_the_published_sum() -> None:
    vectors, targets = _at(0, 60, 90), torch.tensor([0, 0, 1])
    likeness = {pair: math.cos(math.radians(d)) / 0.5 for pair, d in (("ab", 60), ("ac", 90), ("bc", 30))}
    of_a = -math.log(math.exp(likeness["ab"]) / (math.exp(likeness["ab"]) + math.exp(likeness["ac"])))
    of_b = -math.log(math.exp(likeness["ab"]) / (math.exp(likeness["ab"]) + math.exp(likeness["bc"])))
    assert contrastive_loss(vectors, targets, 0.5).item() == pytest.approx((of_a + of_b) / 2)


@pytest.mark.parametrize("name", ["contrastive", "triplet"])
def test_materials_that_lie_apart_cost_less(name: str) -> None:
    loss = {"contrastive": lambda v, t: contrastive_loss(v, t, 0.1), "triplet": lambda v, t: triplet_loss(v, t, 0.2)}
    targets = torch.tensor([0, 0, 1, 1])
    assert loss[name](_at(0, 5, 180, 185), targets) < loss[name](_at(0, 180, 5, 185), targets)


def test_triplet_loss_takes_the_nearest_stranger_beyond_the_partner() -> None:
    # From 0 degrees: partner at 60; strangers at 30 (too near), 90 (semi-hard) and 180. From 60 degrees: partner at 60;
    # both strangers at 30 and 90 lie nearer, so that the one beyond the partner is that at 180.
    vectors, targets = _at(0, 60, 30, 90, 180), torch.tensor([0, 0, 1, 2, 3])
    squared = {d: 2 - 2 * math.cos(math.radians(d)) for d in (60, 90, 120)}
    from_first = max(0.0, squared[60] - squared[90] + 1.5)
    from_second = max(0.0, squared[60] - squared[120] + 1.5)
    assert triplet_loss(vectors, targets, 1.5).item() == pytest.approx((from_first + from_second) / 2)


@pytest.mark.parametrize("same", [True, False])
def test_identical_places_and_lone_materials_have_a_gradient(same: bool) -> None:
    vectors = torch.ones(4, 2).div(math.sqrt(2)).requires_grad_()
    targets = torch.tensor([0, 0, 1, 1]) if same else torch.arange(4)
    (contrastive_loss(vectors, targets, 0.1) + triplet_loss(vectors, targets, 0.2)).backward()
    assert vectors.grad is not None
    assert vectors.grad.isfinite().all()
