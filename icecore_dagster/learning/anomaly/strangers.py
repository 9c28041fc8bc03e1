"""Particles that no class covers, drawn by the simulator: what a judge of anomaly is asked to find.

Diatoms, spores, soot and the like are too rare to be collected as a labelled sample, so that drawn ones stand in.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from icecore_dagster.learning.networks.tensors import to_network_input
from icecore_dagster.particles.measure import calibrate

STRANGERS = 300
"""Drawn by default: enough for an area to be known to about 0.02."""


@dataclass(frozen=True)
class Strangers:
    """Drawn particles of no known class.

    Attributes:
        properties: one row a particle, the columns of `particles.properties`, measured as the instrument does.
        images: uint8 (n, 128, 128), the networks' input.
    """

    properties: pd.DataFrame
    images: np.ndarray


def draw_strangers(count: int = STRANGERS, seed: int = 0) -> Strangers:
    """Draw particles that no class covers; they share the runs of `simulation.laboratory.draw_sample`.

    Args:
        count: how many.
        seed: the same seed draws the same particles.
    """
    # Drawing needs half a second of imports, which whoever only looks at assets should not wait for.
    from icecore_dagster.simulation.laboratory import draw_sample
    from icecore_dagster.simulation.population import ANOMALY
    from icecore_dagster.simulation.shapes.raster import PIXEL_UM

    found = draw_sample(ANOMALY, count, seed)
    return Strangers(
        properties=pd.DataFrame([calibrate(particle.capture.measured, PIXEL_UM) for particle in found]),
        images=np.stack([to_network_input(particle.capture.crop) for particle in found]),
    )
