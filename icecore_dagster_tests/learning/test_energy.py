import time
from pathlib import Path

import pytest

from icecore_dagster.learning.energy import measure_energy


def test_a_block_costs_time_and_energy_and_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with measure_energy("DNK") as meter:
        time.sleep(0.2)
    use = meter.use
    assert use.seconds == pytest.approx(0.2, abs=0.1)
    assert use.kwh is not None and use.co2eq_g is not None
    assert use.kwh > 0
    assert use.car_km == pytest.approx(use.co2eq_g / 120.4)
    assert "Denmark" in use.method and "40 %" in use.method
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_country_is_said_and_fails_nothing() -> None:
    with measure_energy("XXX") as meter:
        pass
    assert "world-average" in meter.use.method


def test_a_library_that_cannot_measure_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import codecarbon

    def refuse(**_: object) -> None:
        raise RuntimeError("no sensors")

    monkeypatch.setattr(codecarbon, "OfflineEmissionsTracker", refuse)
    with measure_energy() as meter:
        pass
    assert meter.use.kwh is None
    assert "no sensors" in meter.use.method


def test_an_error_in_the_block_is_passed_on_and_still_measured() -> None:
    with pytest.raises(ZeroDivisionError), measure_energy() as meter:
        _ = 1 / 0
    assert meter.use.seconds >= 0


def test_the_cost_is_not_known_before_the_end() -> None:
    with measure_energy() as meter, pytest.raises(RuntimeError, match="after the measured block"):
        _ = meter.use
