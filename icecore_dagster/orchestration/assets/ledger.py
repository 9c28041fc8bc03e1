"""What all the work has cost in energy, in one table."""

import dagster as dg

from icecore_dagster.learning.energy import CAVEAT
from icecore_dagster.orchestration.assets.declare import OWNERS
from icecore_dagster.orchestration.jobs import SEGMENT_SCORES
from icecore_dagster.orchestration.metadata import numbers, picture, stored_at, table_head
from icecore_dagster.orchestration.resources import LaboratoryResource
from icecore_dagster.particles.tables.schemas import ENERGY_LEDGER
from icecore_dagster.reports.figures.energy import energy_figure
from icecore_dagster.scoring.energy_ledger import keep_energy_ledger, total_of

GROUP = "energy"
_TOTALS = {
    "energy (kWh)": "kwh",
    "emissions (g CO2eq)": "co2eq_g",
    "as far as by car (km)": "car_km",
    "seconds": "seconds",
}


@dg.asset(
    deps=[dg.AssetDep(name, partition_mapping=dg.AllPartitionMapping()) for name in SEGMENT_SCORES],
    group_name=GROUP,
    owners=OWNERS,
    kinds={"parquet"},
    code_version="1",
    description="Energy, emissions and time of all trainings (superseded models too), searches and scorings, by kind "
    "of model, network and task, beside the study's figures. Sums what is there when it is materialised.",
)
def energy_ledger(context: dg.AssetExecutionContext, laboratory: LaboratoryResource) -> dg.MaterializeResult:
    """Sum what everything has cost."""
    lab = laboratory.open()
    ledger = keep_energy_ledger(lab)
    total = total_of(ledger)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(ledger),
            **numbers({title: float(total[name]) if total[name] >= 0 else None for title, name in _TOTALS.items()}),
            **numbers({"pieces of work": int(total["pieces"]), "not measured": int(total["unmeasured"])}),
            "energy estimated by": dg.MetadataValue.text(f"{total['method']}\nEach estimate {CAVEAT}."),
            "picture": picture(energy_figure(ledger), "energy and emissions by kind of work"),
            "table": table_head(ledger.drop(columns="method"), rows=len(ledger)),
            "file": stored_at(lab.store.table(ENERGY_LEDGER.name)),
        }
    )
