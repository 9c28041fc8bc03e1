"""What is in a sample: materials, their sizes and shares, how much of each a millilitre of melted ice holds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtr, ndtri

from icecore_dagster.simulation.instrument import FLOW_CELL_DEPTH_UM, Conditions
from icecore_dagster.simulation.shapes import dust, pollen, strangers, tephra
from icecore_dagster.simulation.shapes.raster import Specimen

Rng = np.random.Generator
Maker = Callable[[Rng, float, float], Specimen]
ANOMALY = "anomaly"
"""Truth label of particles in ice that none of the laboratory's labels covers."""


@dataclass(frozen=True)
class Sizes:
    """A lognormal distribution of diameters, cut off at both ends, um."""

    median_um: float
    log_sd: float
    smallest_um: float
    largest_um: float

    def draw(self, rng: Rng, scale: float = 1.0) -> float:
        """One diameter, um; `scale` moves the median (grinding and sieving differ from run to run)."""
        bounds = np.log(np.array([self.smallest_um, self.largest_um]) / (self.median_um * scale)) / self.log_sd
        # Inverse of the truncated distribution: one number from the generator, whatever the bounds.
        return float(self.median_um * scale * np.exp(self.log_sd * ndtri(rng.uniform(*ndtr(bounds)))))


@dataclass(frozen=True)
class Mixture:
    """Two populations of one material: a share of them whole grains, the others fragments."""

    whole_share: float
    whole: Sizes
    fragments: Sizes

    def draw(self, rng: Rng, scale: float = 1.0) -> float:
        """One diameter, um, as `Sizes.draw`."""
        return (self.whole if rng.random() < self.whole_share else self.fragments).draw(rng, scale)


@dataclass(frozen=True)
class Candidate:
    """A particle in the flow cell, not yet seen.

    Attributes:
        label: what it is.
        specimen: how light meets it.
        diameter_um: diameter of the disc with the outline's area, um.
        defocus_um: depth relative to the plane of focus, um.
    """

    label: str
    specimen: Specimen
    diameter_um: float
    defocus_um: float


SIZES: dict[str, Sizes | Mixture] = {
    # Grain sizes fall off above about 2 um, and the corundum was chosen to have those of polar dust (published); the
    # instrument sees the tail. Ice holds a coarse grain now and then.
    "dust": Sizes(2.1, 0.30, 1.4, 15.0),
    "ice dust": Sizes(2.2, 0.42, 1.4, 30.0),
    # Published panel of cleaned grains: median 23.5, ln-sd 0.44. Cleaning kept 13 % of the felsic (7,625 of about
    # 60,640) and 42 % of the basaltic particles (6,271 of about 14,793); what it took were small fragments, whose sizes
    # are a guess.
    "camp": Mixture(0.13, Sizes(23.5, 0.44, 8.0, 70.0), Sizes(5.9, 0.36, 4.0, 40.0)),
    "grim": Mixture(0.42, Sizes(22.0, 0.65, 7.0, 110.0), Sizes(7.5, 0.36, 5.0, 40.0)),
    # Published: hazel 18-28 um; fresh oak grains in crops 33-37 um.
    "corylus": Sizes(23.8, 0.065, 17.0, 30.0),
    "qrob": Sizes(35.0, 0.055, 27.0, 43.0),
    "qsub": Sizes(33.7, 0.07, 24.0, 43.0),
    "cont": Sizes(24.0, 0.55, 6.0, 100.0),
    ANOMALY: Sizes(20.0, 0.35, 9.0, 60.0),
}
_POLLEN = ("corylus", "qrob", "qsub")

MAKERS: dict[str, Maker] = {
    "dust": dust.corundum,
    "ice dust": dust.natural,
    "camp": tephra.felsic,
    "grim": tephra.basaltic,
    "corylus": pollen.hazel,
    "qrob": partial(pollen.oak, plan=pollen.ROBUR),
    "qsub": partial(pollen.oak, plan=pollen.SUBER),
}
BLURRED_SHARE = 0.45
"""Share of the contamination class that is just another particle far out of focus (the published class is called
contamination/blurry; the share is a guess)."""
_BLURRED_MATERIALS = {"camp": 0.45, "grim": 0.35, "corylus": 0.1, "qrob": 0.1}
"""What the blurred ones are (a guess)."""
_BLURRED_FROM_UM = 24.0
"""Depth from which a particle is called blurred: light has spread over 5 um and more, so that the outline of a
large plate, too, is no longer to be made out (a guess)."""

STUDY_COUNTS = {"dust": 30_363, "camp": 60_640, "grim": 14_793, "corylus": 7_900, "qrob": 10_837, "qsub": 11_490}
"""Particles of each class in the study's labelled set, from the rows of its published confusion matrix (136,022 in all;
the matrix gives 136,023 by rounding)."""
CONTAMINATION_SHARE = 11_939 / 172_337
"""Share of contamination in the published follow-up's set; the study's had no such class."""
LABELLED_SHARES = {
    **{label: n / sum(STUDY_COUNTS.values()) * (1 - CONTAMINATION_SHARE) for label, n in STUDY_COUNTS.items()},
    "cont": CONTAMINATION_SHARE,
}
"""Shares of the labelled runs: the study's, and contamination as in the follow-up."""

ICE_SHARES = {
    # At least 99.9 % dust and blurred things; tephra and pollen 1e-5 to 1e-3 (published range of natural ice).
    "cont": 5e-3,
    "camp": 4e-4,
    "grim": 2e-4,
    "corylus": 1.2e-4,
    "qrob": 8e-5,
    "qsub": 6e-5,
    ANOMALY: 3e-4,
}
BLANK_SHARES = {"cont": 0.25}
"""What is in a procedural blank beside a little dust: what handling and water bring in (a guess)."""
BLANK_PARTICLES = 0.05
"""Particles of a blank relative to a run of ice (a guess)."""


def draw_candidate(label: str, rng: Rng, conditions: Conditions, *, in_ice: bool, size_scale: float) -> Candidate:
    """Draw one particle of a material.

    Args:
        label: one of the laboratory's labels, or `ANOMALY`.
        rng: source of randomness.
        conditions: how the instrument stands (focus).
        in_ice: natural dust instead of corundum.
        size_scale: factor of this run on the median size of broken material (pollen does not vary).

    Returns:
        The particle.
    """
    defocus_um = _depth(rng, conditions)
    material = label
    if label == "dust" and in_ice:
        material = "ice dust"
    elif label == "cont" and rng.random() < BLURRED_SHARE:
        material = str(rng.choice(list(_BLURRED_MATERIALS), p=list(_BLURRED_MATERIALS.values())))
        defocus_um = float(rng.choice((-1, 1)) * rng.uniform(_BLURRED_FROM_UM, FLOW_CELL_DEPTH_UM / 2))
    diameter_um = SIZES[material].draw(rng, 1.0 if material in _POLLEN else size_scale)
    # Light spreads by about NA / n of the way it travels out of focus; the halo needs a few um more.
    margin_um = 4.0 + 0.22 * abs(defocus_um)
    specimen = _maker(material, rng)(rng, diameter_um, margin_um)
    return Candidate(label, specimen, diameter_um, defocus_um)


def _maker(material: str, rng: Rng) -> Maker:
    if material in MAKERS:
        return MAKERS[material]
    forms = strangers.RARE_FINDS if material == ANOMALY else strangers.CONTAMINATION
    shares = np.array([share for _, share in forms])
    return forms[int(rng.choice(len(forms), p=shares / shares.sum()))][0]


def _depth(rng: Rng, conditions: Conditions) -> float:
    """Depth relative to the plane of focus, within the flow cell, um."""
    depth = conditions.focus_offset_um + rng.normal(0, conditions.focus_spread_um)
    half = FLOW_CELL_DEPTH_UM / 2
    return float(np.clip(depth, -half, half))
