import dagster as dg
import pytest

from icecore_dagster.orchestration.conducting.conductor import Conductor, Daemon, OrchestrationError
from icecore_dagster.orchestration.conducting.demo import require_results
from icecore_dagster.particles.laboratory import Laboratory


def test_results_that_are_gone_while_dagster_knows_of_them_are_said_with_the_remedy(tmp_path) -> None:
    lab = Laboratory.at(tmp_path)
    table = lab.store.table("synthetic_particles")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        conductor = Conductor(instance, None, Daemon())
        require_results(lab, conductor)
        instance.report_runless_asset_event(dg.AssetMaterialization("synthetic_particles"))
        with pytest.raises(OrchestrationError, match=f"synthetic_particles.parquet is missing.*{lab.dagster_home}"):
            require_results(lab, conductor)
        table.parent.mkdir(parents=True)
        table.write_bytes(b"rows")
        require_results(lab, conductor)
