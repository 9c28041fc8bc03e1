"""From a feature set to the table of features of the labelled particles."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from icecore_dagster.learning.features.sets import LEARNED_PREFIX, FeatureSet, ImageFeatures
from icecore_dagster.learning.features.transfer import FeaturesError, read_transfer_features
from icecore_dagster.learning.labelled_set import LabelledSet, SplitKind
from icecore_dagster.learning.models.card import ModelNotFoundError, Provenance
from icecore_dagster.learning.models.files import load_network
from icecore_dagster.learning.networks.training import run_on_rows
from icecore_dagster.learning.networks.transforms import TransformSpec
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.laboratory import Laboratory


@dataclass(frozen=True)
class GatheredFeatures:
    """Features of the labelled particles and where they come from.

    Attributes:
        table: one row a labelled particle in their order, one column a feature.
        versions: asset -> version of it that was read beside the labelled particles.
        built_on: content hash of each model that computed features, by kind.
    """

    table: pd.DataFrame
    versions: dict[str, str] = field(default_factory=dict)
    built_on: dict[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(map(str, self.table.columns))

    def in_provenance(self, provenance: Provenance) -> Provenance:
        """What a model that learnt from these features comes from."""
        return replace(provenance, training_data={**provenance.training_data, **self.versions})


def gather_features(
    lab: Laboratory,
    labelled: LabelledSet,
    chosen: FeatureSet,
    *,
    task: str,
    architecture: str,
    split: SplitKind = SplitKind.BY_RUN,
    left_out: Collection[str] = (),
) -> GatheredFeatures:
    """Put together what a feature set is made of.

    Args:
        lab: the laboratory.
        labelled: its labelled particles.
        chosen: the feature set.
        task: key of the task, whose image network gives the learned features.
        architecture: of that network.
        split: how the labelled particles are divided; that network must not have learnt from what is held out here.
        left_out: properties to leave out.

    Raises:
        FeaturesError: features of the image are not there, or cannot be used here.
        ValueError: a property to leave out is unknown, or nothing is left.
    """
    measured = labelled.table[list(chosen.properties_without(left_out))]
    if chosen.images is None:
        return GatheredFeatures(measured)
    if chosen.images is ImageFeatures.TRANSFER:
        table, version = read_transfer_features(lab, labelled)
        of_images = GatheredFeatures(table, versions={"transfer_features": version})
    else:
        of_images = _learned(lab, labelled, task, architecture, split)
    return replace(of_images, table=pd.concat([measured, of_images.table], axis=1))


def _learned(
    lab: Laboratory, labelled: LabelledSet, task: str, architecture: str, split: SplitKind
) -> GatheredFeatures:
    """Activations of the image network's last hidden layer, as `segment_embedding` has them for ice."""
    partition = f"cnn_model, partition {architecture}|{task}"
    try:
        model = load_network(lab.store.models / "cnn_model" / task / architecture)
    except ModelNotFoundError as error:
        raise FeaturesError(
            f"learned features of the task {task} are those of its image network, which is not there: "
            f"train {partition} first"
        ) from error
    if model.card.split_kind != split or not labelled.versions.items() <= model.card.training_data.items():
        raise FeaturesError(
            f"the image network of the task {task} learnt from other particles, or from a split other than {split}, so "
            f"that it may know what is held out here; train {partition} again"
        )
    transform = model.card.transform or TransformSpec()
    rows, measured = np.arange(len(labelled.table)), feature_matrix(labelled.table, model.card.features)
    vectors = run_on_rows(model.network, labelled.tensors, rows, transform, measured).embeddings
    columns = [f"{LEARNED_PREFIX}{i:02d}" for i in range(vectors.shape[1])]
    return GatheredFeatures(pd.DataFrame(vectors, columns=columns), built_on={"network": model.card.content_hash})
