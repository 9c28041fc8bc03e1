import pytest

from icecore_dagster.learning.features.sets import FEATURE_SETS, feature_set_of, feature_title
from icecore_dagster.particles.properties import FEATURES


def test_the_raw_grey_of_a_run_is_left_out_and_contrast_kept() -> None:
    columns = feature_set_of("no_raw_grey").properties
    assert set(FEATURES) - set(columns) == {"intensity_grey", "sum_intensity_grey"}
    assert "sigma_intensity_grey" in columns


def test_a_property_is_left_out_by_either_name() -> None:
    chosen = feature_set_of("properties")
    by_name = chosen.properties_without(["Biovolume (Cylinder)"])
    assert by_name == chosen.properties_without(["biovolume_cylinder_um3"])
    assert len(by_name) == len(FEATURES) - 1


def test_a_set_may_do_without_properties_only_if_it_has_images() -> None:
    assert feature_set_of("properties_transfer").properties_without(FEATURES[1:]) == FEATURES[:1]
    with pytest.raises(ValueError, match="no_raw_grey"):
        feature_set_of("no_raw_grey").properties_without([c for c in FEATURES if c != "intensity_grey"])


def test_an_unknown_set_is_refused_by_the_names_of_the_known() -> None:
    with pytest.raises(ValueError, match=", ".join(FEATURE_SETS)):
        feature_set_of("everything")


def test_features_have_names_for_people() -> None:
    assert feature_title("area_abd_um2") == "Area (ABD) (µm²)"
    assert feature_title("t_0431") == "ImageNet feature 431"
    assert feature_title("e_07") == "Network feature 7"
