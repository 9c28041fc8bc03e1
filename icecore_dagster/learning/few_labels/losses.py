"""What a siamese network is taught by: losses that pull particles of one material together and push others apart."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def contrastive_loss(vectors: "torch.Tensor", targets: "torch.Tensor", temperature: float) -> "torch.Tensor":
    """Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, equation 2).

    For a particle i with others P(i) of its material in the batch, the mean over p in P(i) of
    -log(exp(z_i z_p / t) / sum over a != i of exp(z_i z_a / t)); averaged over the particles that have others.

    Args:
        vectors: float (n, d), each of length 1.
        targets: int64 (n,), material of each.
        temperature: t; a smaller one looks harder at the nearest strangers.

    Returns:
        A scalar in nats a particle; 0 if no material occurs twice.
    """
    import torch

    itself = torch.eye(len(targets), dtype=torch.bool, device=vectors.device)
    likeness = (vectors @ vectors.T / temperature).masked_fill(itself, -torch.inf)
    log_share = likeness - torch.logsumexp(likeness, dim=1, keepdim=True)
    same = (targets[:, None] == targets[None, :]) & ~itself
    of_same = torch.where(same, log_share, 0.0).sum(dim=1)
    others = same.sum(dim=1)
    known = others > 0
    if not known.any():
        return vectors.sum() * 0
    return -(of_same[known] / others[known]).mean()


def triplet_loss(vectors: "torch.Tensor", targets: "torch.Tensor", margin: float) -> "torch.Tensor":
    """Triplet loss with semi-hard strangers chosen within the batch (Schroff et al. 2015, arXiv:1503.03832).

    For every pair (a, p) of one material, the stranger n is the nearest to a that lies farther than p, or the farthest
    of all where none does; the loss is max(0, |a - p|^2 - |a - n|^2 + margin), averaged over the pairs.

    Args:
        vectors: float (n, d), each of length 1.
        targets: int64 (n,), material of each.
        margin: by how much a stranger should be farther away, as a squared distance (0 to 4).

    Returns:
        A scalar; 0 if there is no pair or no stranger.
    """
    import torch

    # Of unit vectors, without a square root whose gradient has no value at distance 0.
    squared = (2 - 2 * vectors @ vectors.T).clamp_min(0)
    itself = torch.eye(len(targets), dtype=torch.bool, device=vectors.device)
    same = targets[:, None] == targets[None, :]
    anchors, partners = torch.nonzero(same & ~itself, as_tuple=True)
    if len(anchors) == 0 or bool(same.all()):
        return vectors.sum() * 0
    to_partner = squared[anchors, partners]
    strangers = ~same[anchors]
    to_strangers = squared[anchors]
    farther = strangers & (to_strangers > to_partner[:, None])
    semi_hard = to_strangers.masked_fill(~farther, torch.inf).min(dim=1).values
    farthest = to_strangers.masked_fill(~strangers, -torch.inf).max(dim=1).values
    to_stranger = torch.where(farther.any(dim=1), semi_hard, farthest)
    return torch.relu(to_partner - to_stranger + margin).mean()
