"""What all of it cost in energy."""

from collections.abc import Iterator

from icecore_dagster.scoring.energy_ledger import energy_ledger, total_of
from icecore_dagster.study.bench import Bench
from icecore_dagster.study.measurement import Measurement

PROMISES = ("energy.trainings", "energy.co2eq_g", "energy.car_km")


def total_energy(bench: Bench) -> Iterator[Measurement]:
    """Everything that was trained and scored in this study's laboratory."""
    total = total_of(energy_ledger(bench.lab))
    n, model, note = int(total["pieces"]), "all trainings and scored segments", str(total["method"]).split("\n")[0]
    yield Measurement("energy.trainings", "", model, "trainings and scored segments", n, n=n)
    for name, unit in (("seconds", "s"), ("kwh", "kWh"), ("co2eq_g", "g CO₂eq"), ("car_km", "km by car")):
        yield Measurement(f"energy.{name}", "", model, f"total: {name}", float(total[name]), unit, n=n, note=note)
