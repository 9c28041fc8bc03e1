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


SIZES = {
    # Grain sizes of "very fine" corundum and of ice dust fall off above about 2 um; the instrument sees the tail.
    "dust": Sizes(3.5, 0.5, 1.5, 18.0),
    "ice dust": Sizes(2.9, 0.45, 1.5, 30.0),
    # Published panel: median 23.5, ln-sd 0.44, after cleaning; the earlier set held many more small fragments.
    "camp": Sizes(16.5, 0.56, 3.0, 70.0),
    "grim": Sizes(16.0, 0.56, 3.0, 95.0),
    # Published: hazel 18-28 um; fresh oak grains in crops 33-37 um.
    "corylus": Sizes(23.8, 0.065, 17.0, 30.0),
    "qrob": Sizes(35.0, 0.055, 27.0, 43.0),
    "qsub": Sizes(33.0, 0.055, 26.0, 42.0),
    "cont": Sizes(24.0, 0.55, 6.0, 100.0),
    ANOMALY: Sizes(20.0, 0.35, 9.0, 60.0),
}

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
_BLURRED_FROM_UM = 18.0
"""Depth from which a particle is called blurred: its edges are three times as wide as in focus."""

LABELLED_SHARES = {
    # The study's shares of six classes (camp 44, grim 11, corylus 6, oaks 8 each, dust 23 %), with something off the
    # largest for contamination, which has 7 % in the published follow-up.
    "dust": 0.21,
    "camp": 0.37,
    "grim": 0.12,
    "corylus": 0.07,
    "qrob": 0.085,
    "qsub": 0.085,
    "cont": 0.06,
}

ICE_SHARES = {
    # About 99 % dust. Real ice has 1e-5 to 1e-4 tephra and pollen; a small simulation would then hold none to find.
    "cont": 5e-3,
    "camp": 1.2e-3,
    "grim": 8e-4,
    "corylus": 4e-4,
    "qrob": 3e-4,
    "qsub": 2e-4,
    ANOMALY: 1.2e-3,
}


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
    sizes = SIZES[material]
    diameter_um = sizes.draw(rng, size_scale if sizes.log_sd > 0.2 else 1.0)
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
