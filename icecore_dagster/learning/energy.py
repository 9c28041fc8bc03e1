"""What a training costs in energy, as far as the machine can tell, without network and without files left behind."""

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

CAR_G_CO2_PER_KM = 120.4
"""Mean emission of cars newly registered in the EU in 2018 (European Environment Agency), as in the study's km."""

CAVEAT = "may be off by 40 %"
"""Largest deviation of codecarbon from meters, arXiv:2509.22092."""


@dataclass(frozen=True)
class EnergyUse:
    """What something cost.

    Attributes:
        seconds: wall-clock time.
        kwh: energy of the whole machine meanwhile; None if it could not be estimated.
        co2eq_g: greenhouse gases of that energy with the country's electricity, as grams of CO2; None if unknown.
        car_km: distance in a car that emits as much; None if unknown.
        method: how this was estimated, and how far it may be off.
    """

    seconds: float
    kwh: float | None
    co2eq_g: float | None
    car_km: float | None
    method: str


class EnergyMeter:
    """Filled in when the measured block ends."""

    def __init__(self) -> None:
        self._use: EnergyUse | None = None

    @property
    def use(self) -> EnergyUse:
        """What the block cost.

        Raises:
            RuntimeError: the block has not ended yet.
        """
        if self._use is None:
            raise RuntimeError("the energy is known only after the measured block has ended")
        return self._use


@contextlib.contextmanager
def measure_energy(country_iso_code: str = "DNK") -> Iterator[EnergyMeter]:
    """Estimate the energy of the enclosed block; a failing estimate never fails the block.

    Args:
        country_iso_code: three letters of the country whose electricity is used.

    Yields:
        A meter whose `use` is set once the block has ended, even by an error.
    """
    meter = EnergyMeter()
    with _quiet_codecarbon():
        tracker, trouble = _start(country_iso_code)
    started = time.perf_counter()
    try:
        yield meter
    finally:
        seconds = time.perf_counter() - started
        with _quiet_codecarbon():
            meter._use = _finish(tracker, seconds, trouble)
        log.info("energy: %s", meter._use)


def _start(country_iso_code: str) -> tuple[Any, str]:
    try:
        from codecarbon import OfflineEmissionsTracker

        tracker = OfflineEmissionsTracker(
            country_iso_code=country_iso_code,
            output_methods=[],
            # Explicit, so that no configuration file of the user turns network access on.
            emissions_endpoint="",
            electricitymaps_api_token="",
            allow_multiple_runs=True,
            tracking_mode="machine",
            log_level="critical",
        )
        tracker.start()
    except Exception as error:
        return None, f"not measured: codecarbon could not start ({error})"
    return tracker, ""


def _finish(tracker: Any, seconds: float, trouble: str) -> EnergyUse:
    if tracker is None:
        return EnergyUse(seconds, None, None, None, trouble)
    try:
        tracker.stop()
        data = tracker.final_emissions_data
        kwh, grams = float(data.energy_consumed), 1_000 * float(data.emissions)
        return EnergyUse(seconds, kwh, grams, grams / CAR_G_CO2_PER_KM, _method(tracker, data))
    except Exception as error:
        return EnergyUse(seconds, None, None, None, f"not measured: codecarbon gave no result ({error})")


def _method(tracker: Any, data: Any) -> str:
    gpu = ", GPU read from its driver" if data.gpu_count else ""
    where = (
        f"electricity of {data.country_name}" if data.country_name else "world-average electricity (country unknown)"
    )
    return (
        f"codecarbon {data.codecarbon_version} offline, whole machine: {_processor(tracker)}{gpu}, memory modelled, "
        f"{where}; {CAVEAT}"
    )


def _processor(tracker: Any) -> str:
    # codecarbon tells how it reads each part only in these private fields; without them the sentence gets shorter.
    parts = [part for part in getattr(tracker, "_hardware", []) if type(part).__name__ not in ("RAM", "GPU")]
    if not parts:
        return "processor not measured"
    words, rated_w = str(parts[0]).lower(), getattr(parts[0], "_tdp", None)
    if words == "cpu(cpu load)":
        return f"no power sensor, processor estimated from its load and a looked-up rated power of {rated_w} W"
    if words.startswith("cpu(") and ">" in words:
        return f"no power sensor, processor taken as a constant share of {rated_w} W"
    return f"processor power read by {parts[0]}"


@contextlib.contextmanager
def _quiet_codecarbon() -> Iterator[None]:
    """Its logger warns about every missing sensor before it reads its own log level."""
    logger = logging.getLogger("codecarbon")
    was = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = was
