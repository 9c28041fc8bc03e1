"""Which particles of a core look like a given one: the nearest in a network's embedding, searched in bounded memory.

The network that scored the core has placed its particles already (`segment_embedding`); the siamese network places the
crops as they stream by.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from tqdm import tqdm
from upath import UPath

from icecore_dagster.flowcam.landing import RunName, RunNameError, parse_run_name
from icecore_dagster.learning.few_labels.files import SIAMESE_MODEL, load_siamese
from icecore_dagster.learning.few_labels.siamese import embed_images
from icecore_dagster.learning.labelled_set import open_labelled_set
from icecore_dagster.learning.models.card import check_fits
from icecore_dagster.learning.models.files import load_network
from icecore_dagster.learning.networks.architectures import architecture_of, run_network
from icecore_dagster.learning.networks.tensors import to_network_input
from icecore_dagster.learning.trees.boosting import feature_matrix
from icecore_dagster.particles.intake.crops import read_crops, stream_crops
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.tables.schemas import (
    SEGMENT_CROPS,
    SEGMENT_EMBEDDING,
    SEGMENT_PARTICLES,
    SEGMENT_PREDICTIONS,
    SYNTHETIC_PARTICLES,
)
from icecore_dagster.particles.tables.store import count_rows, read_note, read_table, stream_table
from icecore_dagster.scoring.core.rollup import CoreNotScoredError, scored_segments
from icecore_dagster.scoring.files import DEFAULT_ARCHITECTURE, DEFAULT_TASK

SHOWN = ("predicted_class", "diameter_esd_um", "calibration_um_per_px")


class By(StrEnum):
    """Whose embedding says what is alike: the network's that scored the core, or the siamese network's."""

    NETWORK = "network"
    SIAMESE = "siamese"


class Metric(StrEnum):
    """How far apart two places are: 1 - cosine of the angle between them, or their Euclidean distance."""

    COSINE = "cosine"
    EUCLIDEAN = "euclidean"


class ParticleUnknownError(ValueError):
    """No particle of that id is there, or it has no image."""


class OtherNetworkError(ValueError):
    """Places that different networks gave cannot be compared."""


@dataclass(frozen=True)
class Query:
    """The particle that is asked for.

    Attributes:
        particle_id: its id.
        place: core and segment that it is of; None for a labelled particle.
        particle: its one row of the table of particles, with predicted_class (its label where it has one).
        crop: its image, uint8 (h, w).
    """

    particle_id: str
    place: RunName | None
    particle: pd.DataFrame
    crop: np.ndarray


@dataclass(frozen=True)
class Places:
    """Where some particles of a segment lie: ids (n), and float32 (n, d), NaN for a particle without an image."""

    segment: str
    particle_ids: np.ndarray
    vectors: np.ndarray


@dataclass(frozen=True)
class Similar:
    """The particles of a core that are nearest to one.

    Attributes:
        query: the one.
        core: the core that was searched.
        searched: number of particles that were compared.
        found: rank (1 is the nearest), particle_id, distance (no unit), segment, predicted_class, diameter_esd_um and
            calibration_um_per_px; one row a particle.
    """

    query: Query
    core: str
    searched: int
    found: pd.DataFrame


def find_similar(
    lab: Laboratory,
    particle_id: str,
    core: str | None = None,
    *,
    most: int = 20,
    by: By = By.NETWORK,
    metric: Metric = Metric.COSINE,
    progress: bool = True,
) -> Similar:
    """Find the particles of a core that look most like a given one.

    Args:
        lab: the laboratory.
        particle_id: of a particle of any core (GRIP_3046_40_55_1_2787) or a labelled one (camp_11nov_4_fc80_20x_33).
        core: where to look; the particle's own core unless given.
        most: how many to find.
        by: whose embedding says what is alike.
        metric: how distance is measured.
        progress: show a progress bar.

    Raises:
        ParticleUnknownError: no such particle, or it has no image.
        CoreNotScoredError: no segment of the core is scored, or no core is named for a labelled particle.
        OtherNetworkError: the core's particles were placed by several networks, or by another than is there now.
        ModelNotFoundError: the network that is needed has not been trained.
    """
    query = find_query(lab, particle_id)
    core = core or (query.place.core if query.place else None)
    if core is None:
        known = sorted({path.parent.name for path in lab.store.tables(SEGMENT_EMBEDDING.name)})
        raise CoreNotScoredError(
            f"{particle_id} is a labelled particle: say in which core to look with --core; "
            f"scored are {', '.join(known) or 'none yet'}"
        )
    segments = _embedded_segments(lab, core)
    if by is By.SIAMESE:
        vector, blocks = _siamese_places(lab, query, core, segments)
    else:
        vector, blocks = _place_by_network(lab, query, core, segments), _stored_places(lab, core, segments)
    total = sum(count_rows(lab.store.table(SEGMENT_EMBEDDING.name, core, segment)) for segment in segments)
    with tqdm(total=total, desc=f"searching {core}", unit="particle", disable=None if progress else True) as bar:
        best, searched = nearest(_counted(blocks, bar), vector, most, metric, without=particle_id)
    found = _described(lab, core, best)
    found.insert(0, "rank", np.arange(1, len(found) + 1))
    return Similar(query, core, searched, found)


def nearest(
    blocks: Iterable[Places], vector: np.ndarray, most: int, metric: Metric, *, without: str = ""
) -> tuple[pd.DataFrame, int]:
    """The nearest of a stream of particles, of which only the best so far are kept.

    Args:
        blocks: particles and their places.
        vector: float (d,), place to be near to.
        most: how many to keep.
        metric: how distance is measured.
        without: id of a particle to pass over.

    Returns:
        particle_id, segment and distance, nearest first, equals by id; and how many particles were compared.
    """
    best, searched = pd.DataFrame({"particle_id": [], "segment": [], "distance": []}), 0
    for block in blocks:
        distance = distances(block.vectors, vector, metric)
        usable = np.flatnonzero(~np.isnan(distance) & (block.particle_ids != without))
        searched += len(usable)
        if len(best) == most:
            usable = usable[distance[usable] <= best["distance"].iloc[-1]]
        if len(usable) == 0:
            continue
        if len(usable) > most:
            usable = usable[np.argpartition(distance[usable], most - 1)[:most]]
        near = pd.DataFrame(
            {"particle_id": block.particle_ids[usable], "segment": block.segment, "distance": distance[usable]}
        )
        both = near if best.empty else pd.concat([best, near])
        best = both.sort_values(["distance", "particle_id"]).head(most)
    return best.reset_index(drop=True), searched


def distances(vectors: np.ndarray, vector: np.ndarray, metric: Metric) -> np.ndarray:
    """Distance of each place from one: float64 (n,), NaN where a place is not known.

    Args:
        vectors: float (n, d).
        vector: float (d,).
        metric: 1 - cosine of the angle (0 to 2; a place at the origin, which has no direction, is at 1), or Euclidean.
    """
    places, middle = np.asarray(vectors, np.float64), np.asarray(vector, np.float64)
    if metric is Metric.EUCLIDEAN:
        return np.linalg.norm(places - middle, axis=1)
    lengths = np.linalg.norm(places, axis=1) * np.linalg.norm(middle)
    return 1 - (places @ middle) / np.where(lengths == 0, 1, lengths)


def find_query(lab: Laboratory, particle_id: str) -> Query:
    """Find a particle by its id, in any core that has been read or among the labelled ones.

    Raises:
        ParticleUnknownError: there is none of that id, or it has no image.
    """
    try:
        place = parse_run_name(particle_id.rpartition("_")[0])
    except RunNameError:
        return _labelled_query(lab, particle_id)
    source, crops, predictions = (
        lab.store.table(table.name, place.core, place.segment)
        for table in (SEGMENT_PARTICLES, SEGMENT_CROPS, SEGMENT_PREDICTIONS)
    )
    if not source.exists():
        raise ParticleUnknownError(
            f"{particle_id}: segment {place.segment} of {place.core} has not been read; put its runs into {lab.landing}"
        )
    particle = _rows_of(source, [particle_id])
    if particle.empty:
        raise ParticleUnknownError(f"{particle_id}: {place.core}, segment {place.segment}, has no particle of that id")
    crop = read_crops(crops, [particle_id]).get(particle_id) if crops.exists() else None
    if crop is None:
        raise ParticleUnknownError(
            f"{particle_id} has no image among the segment's crops: nothing can be said to look like it"
        )
    if predictions.exists():
        known = _rows_of(predictions, [particle_id], ["particle_id", "predicted_class"])
        particle = particle.merge(known, on="particle_id", how="left")
    return Query(particle_id, place, particle, crop)


def _labelled_query(lab: Laboratory, particle_id: str) -> Query:
    ids = lab.store.table(SYNTHETIC_PARTICLES.name)
    known = read_table(ids, ["particle_id"])["particle_id"] if ids.exists() else pd.Series([], dtype="str")
    if not (known == particle_id).any():
        raise ParticleUnknownError(
            f"{particle_id}: no labelled particle has that id, and it is not one of a core, such as "
            "GRIP_3046_40_55_1_2787 (<core>_<bag>_<from cm>_<to cm>_<replicate>_<number>)"
        )
    labelled = open_labelled_set(lab)
    row = int(np.flatnonzero(labelled.table["particle_id"] == particle_id)[0])
    particle = labelled.table.iloc[[row]].reset_index(drop=True)
    return Query(particle_id, None, particle.assign(predicted_class=particle["label"]), labelled.tensors.native(row))


def _embedded_segments(lab: Laboratory, core: str) -> list[str]:
    """Scored segments of a core whose embedding is of the particles as they were last read."""
    segments = []
    for segment in scored_segments(lab, core):
        embedded = lab.store.table(SEGMENT_EMBEDDING.name, core, segment)
        particles = lab.store.table(SEGMENT_PARTICLES.name, core, segment)
        if embedded.exists() and read_note(embedded).get("fingerprint") == read_note(particles).get("fingerprint"):
            segments.append(segment)
    if not segments:
        raise CoreNotScoredError(
            f"no segment of {core} has been scored in {lab.store.root}; put its runs into {lab.landing}, "
            f"or score it again with `icecore backfill {core}`"
        )
    return segments


def _placed_by(embedding: UPath) -> str:
    """Content hash of the network that placed a segment's particles."""
    models = read_note(embedding).get("models")
    return str(models.get("network", "")) if isinstance(models, dict) else ""


def _place_by_network(lab: Laboratory, query: Query, core: str, segments: list[str]) -> np.ndarray:
    """Where the network that placed the core's particles places the query: float (d,)."""
    networks = {_placed_by(lab.store.table(SEGMENT_EMBEDDING.name, core, segment)) for segment in segments}
    if len(networks) > 1:
        raise OtherNetworkError(
            f"the segments of {core} were scored by different networks; score them again: `icecore backfill {core}`"
        )
    (network,) = networks
    if query.place is not None:
        stored = lab.store.table(SEGMENT_EMBEDDING.name, query.place.core, query.place.segment)
        if stored.exists() and _placed_by(stored) == network:
            row = _rows_of(stored, [query.particle_id])
            if len(row):
                return _coordinates(row)[0]
    model = load_network(lab.store.models / "cnn_model" / DEFAULT_TASK / DEFAULT_ARCHITECTURE)
    if model.card.content_hash != network:
        raise OtherNetworkError(
            f"{core} was scored by network {network[:12]}, and the one that would place {query.particle_id} is "
            f"{model.card.content_hash[:12]}; score the core again: `icecore backfill {core}`"
        )
    transform = architecture_of(str(model.card.architecture)).transform
    check_fits(model.card, transform=transform)
    properties = feature_matrix(query.particle, model.card.features) if model.card.features else None
    image = to_network_input(query.crop, transform.size_px)[None]
    return run_network(model.network, image, transform, properties).embeddings[0]


def _stored_places(lab: Laboratory, core: str, segments: list[str]) -> Iterator[Places]:
    for segment in segments:
        for frame in stream_table(lab.store.table(SEGMENT_EMBEDDING.name, core, segment)):
            yield Places(segment, frame["particle_id"].to_numpy(dtype=object), _coordinates(frame))


def _siamese_places(
    lab: Laboratory, query: Query, core: str, segments: list[str]
) -> tuple[np.ndarray, Iterator[Places]]:
    """Where the siamese network places the query, and the core's crops as they are read."""
    model = load_siamese(lab.store.models / SIAMESE_MODEL)
    transform = architecture_of(str(model.card.architecture)).transform
    check_fits(model.card, transform=transform)

    def embed(crops: list[np.ndarray]) -> np.ndarray:
        inputs = np.stack([to_network_input(crop, transform.size_px) for crop in crops])
        return embed_images(model.network, inputs, transform)

    def places() -> Iterator[Places]:
        for segment in segments:
            for block in stream_crops(lab.store.table(SEGMENT_CROPS.name, core, segment)):
                if block.crops:
                    yield Places(segment, np.array(block.particle_ids, dtype=object), embed(block.crops))

    return embed([query.crop])[0], places()


def _described(lab: Laboratory, core: str, best: pd.DataFrame) -> pd.DataFrame:
    """The found particles with what is known of them."""
    pieces = []
    for segment, of_segment in best.groupby("segment"):
        ids = of_segment["particle_id"].tolist()
        where = (core, str(segment))
        known = _rows_of(lab.store.table(SEGMENT_PARTICLES.name, *where), ids, ["particle_id", *SHOWN[1:]])
        predicted = _rows_of(lab.store.table(SEGMENT_PREDICTIONS.name, *where), ids, ["particle_id", SHOWN[0]])
        pieces.append(predicted.merge(known, on="particle_id", validate="one_to_one"))
    if not pieces:
        return best.reindex(columns=[*best.columns, *SHOWN])
    return best.merge(pd.concat(pieces), on="particle_id", how="left", validate="one_to_one")


def _rows_of(source: UPath, particle_ids: list[str], columns: list[str] | None = None) -> pd.DataFrame:
    """The rows of a few particles, read block by block."""
    frames = [frame[frame["particle_id"].isin(particle_ids)] for frame in stream_table(source, columns)]
    known = [frame for frame in frames if len(frame)]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame({"particle_id": []})


def _coordinates(frame: pd.DataFrame) -> np.ndarray:
    return frame[[name for name in frame.columns if str(name).startswith("e_")]].to_numpy(dtype=np.float32)


def _counted(blocks: Iterable[Places], bar: tqdm) -> Iterator[Places]:
    for block in blocks:
        yield block
        bar.update(len(block.particle_ids))
