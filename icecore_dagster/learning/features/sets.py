"""Which sets of features there are. One entry is one set; what is in the columns is computed elsewhere."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from icecore_dagster.particles.properties import ABSOLUTE_GREY, BY_COLUMN, FEATURES, features_without

TRANSFER_PREFIX, LEARNED_PREFIX = "t_", "e_"


class ImageFeatures(StrEnum):
    """Where the features of an image come from.

    Attributes:
        TRANSFER: a network that learnt ImageNet and has never seen a particle.
        LEARNED: our own image network of the same task, the layer before its outputs.
    """

    TRANSFER = "transfer"
    LEARNED = "learned"


@dataclass(frozen=True)
class FeatureSet:
    """What a model learns from.

    Attributes:
        key: name in partitions and files.
        title: what people read.
        properties: columns of measured properties; empty for none.
        images: features of the image beside them; None for none.
    """

    key: str
    title: str
    properties: tuple[str, ...] = ()
    images: ImageFeatures | None = None

    @property
    def is_measured(self) -> bool:
        """Whether every column is a measured property, so that it has a name and a unit and any particle has it."""
        return self.images is None

    def properties_without(self, left_out: Collection[str]) -> tuple[str, ...]:
        """The set's properties less some of them.

        Args:
            left_out: columns or VisualSpreadsheet's own names.

        Raises:
            ValueError: a name is no feature, or nothing is left to learn from.
        """
        kept = set(features_without(left_out))
        columns = tuple(column for column in self.properties if column in kept)
        if not columns and self.is_measured:
            raise ValueError(f"every property of the set {self.key} is left out: nothing remains to learn from")
        return columns


MEASURED = "properties"
"""Key of the set that scores ice: its columns are there for every particle that was read."""

FEATURE_SETS: dict[str, FeatureSet] = {
    chosen.key: chosen
    for chosen in (
        FeatureSet(MEASURED, "the 34 FlowCam properties", FEATURES),
        FeatureSet(
            "no_raw_grey",
            "the FlowCam properties but for those that carry the run's background grey",
            tuple(column for column in FEATURES if column not in ABSOLUTE_GREY),
        ),
        FeatureSet("transfer", "ImageNet features of the image", images=ImageFeatures.TRANSFER),
        FeatureSet("learned", "the image network's own features", images=ImageFeatures.LEARNED),
        FeatureSet(
            "properties_transfer",
            "the 34 FlowCam properties and ImageNet features of the image",
            FEATURES,
            ImageFeatures.TRANSFER,
        ),
    )
}


def feature_set_of(key: str) -> FeatureSet:
    """The registered set of that name.

    Raises:
        ValueError: there is none.
    """
    if key not in FEATURE_SETS:
        raise ValueError(f"no feature set {key!r}; known: {', '.join(FEATURE_SETS)}")
    return FEATURE_SETS[key]


def feature_title(column: str) -> str:
    """What people call a feature: VisualSpreadsheet's name with the unit, or which unnamed one of the image it is."""
    if column in BY_COLUMN:
        return BY_COLUMN[column].title
    for prefix, what in ((TRANSFER_PREFIX, "ImageNet feature"), (LEARNED_PREFIX, "Network feature")):
        number = column.removeprefix(prefix)
        if number != column and number.isdigit():
            return f"{what} {int(number)}"
    return column
