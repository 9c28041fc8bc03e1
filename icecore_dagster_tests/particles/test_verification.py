from pathlib import Path

import pytest

from icecore_dagster.flowcam.run import read_run
from icecore_dagster.particles.properties import PROPERTIES
from icecore_dagster.particles.verification import verify_properties
from icecore_dagster.simulation.laboratory import simulate_labelled
from icecore_dagster.simulation.plans import fewest_labelled


@pytest.fixture
def simulated_run(tmp_path: Path) -> Path:
    folder = tmp_path / "labelled"
    runs = simulate_labelled(folder, particles=fewest_labelled(), seed=4, processes=1, progress=False)
    return next(path for path in runs if path.name.startswith("camp"))


@pytest.mark.parametrize(("fixture", "rows"), [("colour_run", 1000), ("bare_run", 506)])
def test_every_property_of_a_real_run_is_reproduced(fixture, rows, request):
    agreements = verify_properties(read_run(request.getfixturevalue(fixture)), progress=False)
    assert all(one.rows == rows for one in agreements)
    assert {one.quantity.flowcam_name: one.share for one in agreements if not one.holds} == {}


def test_what_the_simulator_writes_is_what_its_pixels_say(simulated_run):
    agreements = verify_properties(read_run(simulated_run), progress=False)
    assert [one.quantity for one in agreements] == list(PROPERTIES)
    assert {one.quantity.flowcam_name: one.share for one in agreements if one.share < 1} == {}


def test_a_property_that_was_changed_is_found_out(simulated_run):
    particle_list = simulated_run / f"{simulated_run.name}.lst"
    lines = particle_list.read_text().splitlines()
    place = [line.split("|")[0] for line in lines[2:55]].index("edge_gradient")
    for i in range(55, len(lines)):
        cells = lines[i].split("|")
        cells[place] = f"{float(cells[place]) + 1:.4f}"
        lines[i] = "|".join(cells)
    particle_list.write_text("\n".join(lines) + "\n")
    failed = [one for one in verify_properties(read_run(simulated_run), progress=False) if not one.holds]
    assert [(one.quantity.flowcam_name, one.exact) for one in failed] == [("Edge Gradient", 0)]
    assert failed[0].largest_difference == pytest.approx(1, abs=1e-3)


def test_a_run_without_masks_is_refused_with_a_remedy(simulated_run):
    for mask in simulated_run.glob("*_bin.tif"):
        mask.unlink()
    with pytest.raises(ValueError, match="no particle has a mask"):
        verify_properties(read_run(simulated_run), progress=False)


def test_images_without_properties_are_refused(ice_core_particles):
    with pytest.raises(ValueError, match="no measured properties"):
        verify_properties(read_run(ice_core_particles), progress=False)
