"""Image formation: from a particle's optical path and absorption to the light that falls on the camera.

The particle is a thin screen t = exp(-absorbance / 2 + i k opd) in the flow cell. Its field is carried to the plane of
focus with the paraxial angular spectrum, passes the objective's pupil, and the intensities of a few directions of the
condenser's light are averaged (partial coherence). Camera, background and noise are not here but in `instrument`.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from numpy.typing import NDArray

from icecore_dagster.simulation.shapes.raster import PIXEL_UM

WATER_INDEX = 1.333
"""Refractive index of water in the visible (published)."""

_PUPIL_EDGE = 0.4
"""Width of the pupil's soft edge relative to its radius (chosen so that no rings show inside clear plates in focus)."""


@dataclass(frozen=True)
class Optics:
    """What the light passes on its way to the camera.

    Attributes:
        wavelength_um: mean wavelength of the flash in vacuum (green-white light, plausible range 0.50-0.56).
        objective_na: effective numerical aperture of the imaging path. A 20x objective has 0.4-0.45; stopped down for
            depth of field 0.26-0.36 is plausible, and gives the 5-6 px edges of published crops.
        condenser_na: numerical aperture of the flash (plausible range 0.08-0.18; nearly parallel light).
        camera_blur_px: standard deviation of pixel, motion and lens blur together (1.2-1.8 gives the steepest edges of
            15-25 grey a pixel of published crops).
        halo: strength of the wide bright rim around whatever is dark, relative to its contrast; 0.12-0.26 gives the
            +3 to +8 grey of published crops.
        halo_px: standard deviation of that rim (published crops: it reaches about 8 px).
        flare: share of the background light that is scattered evenly over the picture (plausible range 0.08-0.22).
    """

    wavelength_um: float = 0.53
    objective_na: float = 0.31
    condenser_na: float = 0.12
    camera_blur_px: float = 1.5
    halo: float = 0.18
    halo_px: float = 9.0
    flare: float = 0.14


def relative_intensity(
    opd_um: NDArray[np.float32],
    absorbance: NDArray[np.float32],
    defocus_um: NDArray[np.float64],
    optics: Optics,
    turn_rad: float = 0.0,
) -> NDArray[np.float32]:
    """Light on the camera behind each particle, 1 where nothing stands in the way.

    Args:
        opd_um: (b, n, n) float32, optical path difference to water: (index - 1.333) * thickness, um.
        absorbance: (b, n, n) float32, natural logarithm of the intensity lost; negative where light is gathered.
        defocus_um: (b,) depth of each particle relative to the plane of focus, um in water, either sign.
        optics: the light path.
        turn_rad: angle of the first off-axis direction of the condenser.

    Returns:
        (b, n, n) float32.

    Source: Goodman, Introduction to Fourier Optics (angular spectrum, pupil); partial coherence as the sum of the
    intensities of independent source points (Abbe).
    """
    n = opd_um.shape[-1]
    spectrum = np.fft.fftshift(scipy.fft.fft2(_transmission(opd_um, absorbance, optics), overwrite_x=True), axes=(1, 2))
    lens = _lens(n, defocus_um, optics)
    directions = _source_directions(optics.condenser_na, 6 if n <= 64 else 4, turn_rad)
    seen = np.zeros(lens.shape, np.float32)
    for direction_x, direction_y in directions:
        # Light from a direction shifts the spectrum before the pupil; a whole number of frequencies is near enough.
        left, top = (n // 4 + round(sine / optics.wavelength_um * n * PIXEL_UM) for sine in (direction_x, direction_y))
        passed = spectrum[:, top : top + n // 2, left : left + n // 2] * lens
        field = scipy.fft.ifft2(passed, overwrite_x=True)
        seen += field.real**2
        seen += field.imag**2
    seen /= np.float32(len(directions))
    intensity = np.empty(opd_um.shape, np.float32)
    # The few directions leave the rest of the condenser's disc out; defocused light spreads over it.
    spread_px = 0.25 * optics.condenser_na / WATER_INDEX * np.abs(defocus_um) / PIXEL_UM
    for image, extra, full in zip(seen, spread_px, intensity, strict=True):
        blur_px = float(np.hypot(optics.camera_blur_px, extra))
        cv2.GaussianBlur(image, (0, 0), blur_px / 2, dst=image, borderType=cv2.BORDER_REPLICATE)
        _add_halo(image, optics)
        cv2.resize(image, (n, n), dst=full, interpolation=cv2.INTER_CUBIC)
    intensity += np.float32(optics.flare)
    intensity /= np.float32(1 + optics.flare)
    return intensity


def _add_halo(intensity: NDArray[np.float32], optics: Optics) -> None:
    """Push a picture at half the camera's resolution away from its own wide average, in place.

    The edges of a thick body lie at other depths than its middle and send their light outwards; one thin screen cannot
    do that, so its effect on the picture is put in as seen.
    """
    n = intensity.shape[0]
    coarse = cv2.resize(intensity, (n // 2, n // 2), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), optics.halo_px / 4, borderType=cv2.BORDER_REPLICATE)
    wide = cv2.resize(coarse, (n, n), interpolation=cv2.INTER_LINEAR)
    intensity += np.float32(optics.halo) * (intensity - wide)
    np.maximum(intensity, 0, out=intensity)


def _transmission(
    opd_um: NDArray[np.float32], absorbance: NDArray[np.float32], optics: Optics
) -> NDArray[np.complex64]:
    """Complex amplitude behind the particle; light bent out of the objective's aperture is taken away.

    A surface whose path changes by s um per um bends light by s (sine of the angle); what leaves the aperture is lost.
    The pupil does that for gentle slopes, but slopes above half a wavelength a pixel would alias back into the picture.
    """
    slope_x = np.empty_like(opd_um)
    slope_y = np.empty_like(opd_um)
    slope_x[:, :, 1:-1] = opd_um[:, :, 2:] - opd_um[:, :, :-2]
    slope_x[:, :, 0] = slope_x[:, :, -1] = 0
    slope_y[:, 1:-1] = opd_um[:, 2:] - opd_um[:, :-2]
    slope_y[:, 0] = slope_y[:, -1] = 0
    slope_x *= slope_x
    slope_y *= slope_y
    slope_x += slope_y
    slope_x *= np.float32((0.5 / PIXEL_UM / (optics.objective_na + optics.condenser_na)) ** 2)
    steepness = slope_x * slope_x * slope_x  # (slope / aperture) ** 6
    steepness += 1
    np.sqrt(steepness, out=steepness)
    amplitude = np.exp(-0.5 * absorbance)
    amplitude /= steepness
    screen = np.empty(opd_um.shape, np.complex64)
    for path, size, wave in zip(opd_um, amplitude, screen, strict=True):
        wave.real, wave.imag = cv2.polarToCart(size, path * np.float32(2 * np.pi / optics.wavelength_um))
    return screen


def _lens(n: int, defocus_um: NDArray[np.float64], optics: Optics) -> NDArray[np.complex64]:
    """What the flight to the plane of focus and the pupil do to a field, (b, n / 2, n / 2), lowest frequency centred.

    The pupil lets through less than half of the frequencies that the camera's pixels hold, so that the field behind it
    is whole on half as many points each way; a quarter makes up for their number in the inverse transform.
    """
    frequency = np.arange(-(n // 4), n // 2 - n // 4) / (n * PIXEL_UM)
    cutoff = optics.objective_na / optics.wavelength_um
    radius = np.hypot(frequency[:, None], frequency[None, :])
    # A soft edge stands for the many directions and colours that are not drawn; a hard one rings along straight edges.
    pupil = 0.25 * np.clip((cutoff - radius) / (_PUPIL_EDGE * cutoff) + 0.5, 0, 1)
    per_depth = -1j * np.pi * optics.wavelength_um / WATER_INDEX
    flight = np.exp(per_depth * defocus_um[:, None] * frequency**2).astype(np.complex64)
    return flight[:, :, None] * flight[:, None, :] * pupil.astype(np.float32)


def _source_directions(condenser_na: float, count: int, turn_rad: float) -> list[tuple[float, float]]:
    """Sines of the angles of the condenser's light: one on the axis, the others on a ring."""
    ring = count - 1
    angles = turn_rad + 2 * np.pi * np.arange(ring) / ring
    radius = 0.75 * condenser_na
    return [(0.0, 0.0), *((float(radius * np.cos(a)), float(radius * np.sin(a))) for a in angles)]
