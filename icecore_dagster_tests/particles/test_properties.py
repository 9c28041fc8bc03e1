import pytest

from icecore_dagster.particles.properties import FEATURES, PROPERTIES, UNPUBLISHED, features_without


def test_columns_and_names_are_unique_and_the_published_34_are_learnt_from():
    assert len({p.column for p in PROPERTIES}) == len({p.flowcam_name for p in PROPERTIES}) == len(PROPERTIES)
    assert len(FEATURES) == 34


def test_properties_of_unpublished_formula_can_be_left_out_by_either_name():
    kept = features_without(["Biovolume (Cylinder)", "biovolume_p_spheroid_um3"])
    assert kept == features_without(UNPUBLISHED)
    assert set(FEATURES) - set(kept) == {"biovolume_cylinder_um3", "biovolume_p_spheroid_um3"}


def test_what_is_no_feature_cannot_be_left_out():
    with pytest.raises(ValueError, match="no feature is called colour"):
        features_without(["colour"])


def test_something_must_be_left_to_learn_from():
    with pytest.raises(ValueError, match="nothing remains"):
        features_without(FEATURES)
