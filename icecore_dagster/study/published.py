"""What was published: every figure of the 2021 study and of its follow-up, by the id of our own measurement of it.

Sources: the study is "Identifying Insolubles in Ice Core Data" (University of Copenhagen 2021) with its notebooks; the
follow-up is Maffezzoli et al. 2023, The Cryosphere 17, 539-565, doi 10.5194/tc-17-539-2023.
"""

from dataclasses import dataclass

from icecore_dagster.scoring.energy_ledger import STUDY_G, STUDY_KM, STUDY_RUNS, STUDY_TRAININGS

STUDY, FOLLOW_UP = "study 2021", "follow-up 2023"


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
        value: in the unit of our measurement.
        source: `STUDY` or `FOLLOW_UP`.
        remark: how it was reached, where that differs from ours.
    """

    value: float
    source: str = STUDY
    remark: str = ""


_BY_IMAGE = "split by image"
_SHARES = {"camp": 0.444, "grim": 0.108, "corylus": 0.058, "qrob": 0.081, "qsub": 0.084, "dust": 0.226}
_PARAMETERS = {"A1": 1_264_666, "A2": 1_264_882, "A3": 304_326, "A4": 91_571, "K1": 319_811}
_RECALLS = {"camp": 0.98, "corylus": 0.96, "dust": 0.96, "grim": 0.65, "qrob": 0.79, "qsub": 0.79}
_CONFUSED = {"grim_called_camp": 0.32, "qrob_called_qsub": 0.17, "qsub_called_qrob": 0.17}
_FOLLOW_UP_RECALLS = {
    # Diagonal of the published confusion of the repository's model, 500 images a class.
    "dust": 499 / 500,
    "camp": 488 / 500,
    "grim": 485 / 500,
    "corylus": 494 / 500,
    "qrob": 468 / 500,
    "qsub": 450 / 500,
    "cont": 497 / 500,
}


def _energy() -> dict[str, Published]:
    """What the study states of the cost of three trainings; km by car only of the first."""
    known = {f"{STUDY_TRAININGS[0][0]}.{STUDY_TRAININGS[0][1]}.car_km": Published(0.069432)}
    for task, network, epochs, *costs in STUDY_TRAININGS:
        for name, value in zip(("seconds", "kwh", "co2eq_g"), costs, strict=True):
            known[f"{task}.{network}.{name}"] = Published(value, remark=f"{epochs} epochs")
    return known


PUBLISHED: dict[str, Published] = {
    "labelled.particles": Published(136_022),
    **{f"labelled.share.{label}": Published(share) for label, share in _SHARES.items()},
    "labelled.share.ash": Published(0.552),
    "labelled.share.pollen": Published(0.223),
    "ice.particles": Published(3_085_063),
    "ice.cores": Published(4),
    **{f"parameters.{network}": Published(count) for network, count in _PARAMETERS.items()},
    **_energy(),
    "energy.trainings": Published(STUDY_RUNS, remark="extrapolated by the study"),
    "energy.co2eq_g": Published(STUDY_G, remark="extrapolated by the study"),
    "energy.car_km": Published(STUDY_KM, remark="extrapolated by the study"),
    "six_class.lightgbm.properties.default.accuracy": Published(0.909, remark=_BY_IMAGE),
    "six_class.lightgbm.properties.default.balanced_accuracy": Published(0.858, remark=_BY_IMAGE),
    "three_class.lightgbm.properties.default.accuracy": Published(0.982, remark=_BY_IMAGE),
    "three_class.lightgbm.properties.default.balanced_accuracy": Published(0.977, remark=_BY_IMAGE),
    **{
        f"six_class.lightgbm.properties.default.recall.{k}": Published(v, remark=_BY_IMAGE) for k, v in _RECALLS.items()
    },
    **{f"six_class.lightgbm.properties.default.{k}": Published(v, remark=_BY_IMAGE) for k, v in _CONFUSED.items()},
    "three_class.lightgbm.properties_transfer.by_image.accuracy": Published(0.99, remark=_BY_IMAGE),
    "six_class.lightgbm.properties_transfer.by_image.accuracy": Published(0.92, remark=_BY_IMAGE),
    "six_class.lightgbm.focal.by_image.accuracy": Published(0.9086, remark=_BY_IMAGE),
    "six_class.lightgbm.focal.by_image.balanced_accuracy": Published(0.856, remark=_BY_IMAGE),
    "anomalies.shown": Published(6),
    "maps.ice.share": Published(0.15),
    "seven_class.hybrid_resnet18.by_image.accuracy": Published(0.968, FOLLOW_UP, _BY_IMAGE),
    "seven_class.hybrid_resnet18.by_image.four_groups": Published(0.994, FOLLOW_UP, _BY_IMAGE),
    **{
        f"seven_class.hybrid_resnet18.by_image.recall.{label}": Published(recall, FOLLOW_UP, _BY_IMAGE)
        for label, recall in _FOLLOW_UP_RECALLS.items()
    },
}
"""Ids are `<task or subject>.<model>.<how it was divided>.<metric>`."""
