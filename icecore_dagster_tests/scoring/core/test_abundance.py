import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, poisson

from icecore_dagster.particles.tables.schemas import CLASS_DISTRIBUTION
from icecore_dagster.scoring.core.abundance import class_distribution, overdispersion_p, poisson_interval

CLASSES = ("dust", "ash", "pollen")


def _runs(**changes: object) -> pd.DataFrame:
    runs = pd.DataFrame(
        {
            "run": ["C_1_0_20_1", "C_1_0_20_2", "C_1_20_40_1"],
            "core": "C_1",
            "segment": ["0_20", "0_20", "20_40"],
            "replicate": [1, 2, 1],
            "volume_imaged_ml": [0.5, 0.25, np.nan],
        }
    )
    return runs.assign(**changes)


def _predictions() -> pd.DataFrame:
    counts = {"C_1_0_20_1": {"dust": 6, "ash": 3}, "C_1_0_20_2": {"dust": 4}}
    rows = [(run, name) for run, of in counts.items() for name, n in of.items() for _ in range(n)]
    return pd.DataFrame(rows, columns=["run", "predicted_class"])


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0, 3.69), (1, 0.03, 5.57), (3, 0.62, 8.77), (5, 1.62, 11.67), (10, 4.80, 18.39)]
)
def test_intervals_are_garwoods(count: int, low: float, high: float) -> None:
    found_low, found_high = poisson_interval(np.array([count]))
    assert (round(float(found_low[0]), 2), round(float(found_high[0]), 2)) == (low, high)


def test_a_count_at_the_end_of_its_interval_has_two_and_a_half_percent() -> None:
    low, high = poisson_interval(np.array([7]))
    assert poisson.sf(6, low[0]) == pytest.approx(0.025)
    assert poisson.cdf(7, high[0]) == pytest.approx(0.025)


def test_every_class_is_counted_in_every_replicate_zeros_included() -> None:
    table = class_distribution(_predictions(), _runs(), CLASSES)
    single = table[table["replicate"].notna()].set_index(["segment", "replicate", "class"])["count"]
    assert single.loc["0_20", 1].to_dict() == {"dust": 6, "ash": 3, "pollen": 0}
    assert single.loc["0_20", 2].to_dict() == {"dust": 4, "ash": 0, "pollen": 0}
    assert single.loc["20_40", 1].to_dict() == {"dust": 0, "ash": 0, "pollen": 0}
    assert single.sum() == len(_predictions())


def test_replicates_together_are_a_row_with_a_missing_replicate() -> None:
    table = class_distribution(_predictions(), _runs(), CLASSES)
    pooled = table[table["replicate"].isna()].set_index(["segment", "class"])
    assert pooled.loc[("0_20", "dust"), "count"] == 10
    assert pooled.loc[("0_20", "ash"), "share"] == pytest.approx(3 / 13)
    assert pooled.loc[("0_20", "ash"), "volume_imaged_ml"] == pytest.approx(0.75)
    assert pooled.loc[("0_20", "ash"), "per_ml"] == pytest.approx(4.0)


def test_concentrations_carry_the_interval_and_are_missing_without_volume() -> None:
    table = class_distribution(_predictions(), _runs(), CLASSES).set_index(["segment", "replicate", "class"])
    ash = table.loc[("0_20", 1, "ash")]
    assert (ash["per_ml"], round(ash["per_ml_low"], 2), round(ash["per_ml_high"], 2)) == (6.0, 1.24, 17.53)
    none = table.loc[("0_20", 2, "ash")]
    assert none["per_ml_low"] == 0
    assert none["per_ml_high"] == pytest.approx(3.6889 / 0.25, abs=1e-3)
    unknown = table.loc[("20_40", 1, "dust"), ["per_ml", "per_ml_low", "per_ml_high"]]
    assert unknown.isna().all()


def test_one_unknown_volume_leaves_the_pooled_concentration_unknown() -> None:
    table = class_distribution(_predictions(), _runs(volume_imaged_ml=[0.5, np.nan, 1.0]), CLASSES)
    pooled = table[table["replicate"].isna() & (table["segment"] == "0_20")]
    assert pooled["per_ml"].isna().all()
    assert pooled["overdispersion_p"].notna().any()


def test_overdispersion_compares_replicates_by_volume() -> None:
    counts, volumes = np.array([30, 10]), np.array([0.3, 0.1])
    assert overdispersion_p(counts, volumes) == pytest.approx(1.0)
    equal = overdispersion_p(counts, np.array([np.nan, 0.1]))
    assert equal == pytest.approx(
        float(chi2_contingency([[30, 10], [10**9, 10**9]], correction=False).pvalue), rel=1e-3
    )
    assert np.isnan(overdispersion_p(np.array([5]), np.array([1.0])))
    assert np.isnan(overdispersion_p(np.array([0, 0]), volumes))


def test_overdispersion_is_given_for_replicates_together_only() -> None:
    table = class_distribution(_predictions(), _runs(), CLASSES)
    has = table["overdispersion_p"].notna()
    assert table.loc[has, "replicate"].isna().all()
    assert set(table.loc[has, "class"]) == {"dust", "ash"}
    assert set(table.loc[has, "segment"]) == {"0_20"}


def test_the_table_is_the_declared_one() -> None:
    table = class_distribution(_predictions(), _runs(), CLASSES)
    assert CLASS_DISTRIBUTION.conform(table).num_rows == len(table) == 15
    assert len(CLASS_DISTRIBUTION.violations(table)) == 0


def test_unknown_runs_and_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="C_1_0_20_2"):
        class_distribution(_predictions(), _runs().iloc[[0, 2]], CLASSES)
    with pytest.raises(ValueError, match=r"\['ash'\] are not those"):
        class_distribution(_predictions(), _runs(), ("dust", "pollen"))
    with pytest.raises(ValueError, match="no runs"):
        class_distribution(_predictions().head(0), _runs().head(0), CLASSES)
    with pytest.raises(ValueError, match="listed twice"):
        class_distribution(_predictions(), pd.concat([_runs(), _runs().head(1)]), CLASSES)
