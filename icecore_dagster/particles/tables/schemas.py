"""Every table the product keeps, declared once: columns, types, units, what they mean and what is plausible.

Writing casts to these declarations (`store.py`), the asset checks hold stored tables against them, and
`docs/tables.md` is printed from them. A column whose name ends in `*` stands for a family, one a class or dimension.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from icecore_dagster.particles.properties import PROPERTIES

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

TEXT, FLAG, COUNT, REAL, SINGLE = pa.string(), pa.bool_(), pa.int64(), pa.float64(), pa.float32()
MOMENT = pa.timestamp("us")


class SchemaError(ValueError):
    """A table does not have the columns or values that its declaration promises."""


@dataclass(frozen=True)
class Column:
    """One column: its name, Arrow type, meaning, unit, and the bounds that its values keep (inclusive)."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = False
    unique: bool = False
    low: float | None = None
    high: float | None = None

    @property
    def is_family(self) -> bool:
        """Whether the name is a prefix that stands for several columns."""
        return self.name.endswith("*")

    def covers(self, name: str) -> bool:
        """Whether a column called `name` is this one or a member of this family."""
        return name.startswith(self.name[:-1]) if self.is_family else name == self.name


@dataclass(frozen=True)
class Table:
    """A declared table: its name, one line on what a row is, and its columns in order."""

    name: str
    row: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column | None:
        """The declaration that covers a column: an exact name before a family, the longest family prefix first."""
        covering = [c for c in self.columns if c.covers(name)]
        return max(covering, key=lambda c: (not c.is_family, len(c.name)), default=None)

    def conform(self, frame: pd.DataFrame) -> pa.Table:
        """Cast a frame to the declared types and order.

        Args:
            frame: rows with at least the declared columns; family members in any number.

        Returns:
            An Arrow table with exactly the declared columns, in declared order.

        Raises:
            SchemaError: a declared column is missing, one is not declared, or values cannot be cast.
        """
        names: list[str] = []
        covered = {name: self.column(str(name)) for name in frame.columns}
        for column in self.columns:
            members = [name for name, by in covered.items() if by is column]
            if not members and not column.is_family:
                raise SchemaError(f"table {self.name}: column {column.name} is missing")
            names.extend(map(str, members))
        if undeclared := [n for n in frame.columns if n not in set(names)]:
            raise SchemaError(f"table {self.name}: columns {undeclared} are not declared")
        schema = self.arrow_schema(names)
        try:
            return pa.Table.from_pandas(frame[names], schema=schema, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise SchemaError(f"table {self.name}: {error}") from error

    def arrow_schema(self, names: Iterable[str]) -> pa.Schema:
        """The Arrow schema of the given declared columns, units and meanings as field metadata."""
        fields = []
        for name in names:
            column = self.column(name)
            if column is None:
                raise SchemaError(f"table {self.name}: column {name} is not declared")
            fields.append(
                pa.field(name, column.type, column.nullable, metadata={"unit": column.unit, "meaning": column.meaning})
            )
        return pa.schema(fields, metadata={"table": self.name, "row": self.row})

    def empty(self, families: Iterable[str] = ()) -> pd.DataFrame:
        """A frame with the declared columns (and the given family members) and no rows."""
        names = [c.name for c in self.columns if not c.is_family] + list(families)
        return self.arrow_schema(names).empty_table().to_pandas()

    def violations(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Where a stored table breaks its declaration.

        Args:
            frame: the table as read from storage.

        Returns:
            One row a broken rule and value: column, check, failure_case, index; empty when all is well.
        """
        from pandera.errors import SchemaErrors

        try:
            _pandera_schema(self, tuple(map(str, frame.columns))).validate(frame, lazy=True)
        except SchemaErrors as errors:
            return errors.failure_cases[["column", "check", "failure_case", "index"]]
        return pd.DataFrame(columns=["column", "check", "failure_case", "index"])


@cache
def _pandera_schema(table: Table, names: tuple[str, ...]) -> "DataFrameSchema":
    import pandera.pandas as pandera

    columns: dict[str, Any] = {}
    for column in table.columns:
        members = [n for n in names if table.column(n) is column] if column.is_family else [column.name]
        for name in members:
            bounds = []
            if column.low is not None:
                bounds.append(pandera.Check.ge(column.low))
            if column.high is not None:
                bounds.append(pandera.Check.le(column.high))
            columns[name] = pandera.Column(None, bounds, nullable=column.nullable, unique=column.unique)
    return pandera.DataFrameSchema(columns, strict=True, name=table.name)


_PARTICLE = (
    Column("particle_id", TEXT, "run and particle number, as in the image's name", unique=True),
    Column("run", TEXT, "one pass of the instrument: the name of its folder"),
)
_CELL = (
    Column("core", TEXT, "ice core and bag"),
    Column("segment", TEXT, "depth range within the bag, from_to", "cm"),
    Column("replicate", COUNT, "repeated measurement of the same melt water", low=1),
)

_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "aspect_ratio": (0, 1),
    "circle_fit": (None, 1),
    "circularity": (0, 1.0001),
    "circularity_hu": (0, 1.0001),
    "compactness": (0.9999, None),
    "convexity": (0, 1.0001),
    "edge_gradient_grey": (0, 1020),
    "elongation": (0.9999, None),
    "feret_angle_max_deg": (-90, 90),
    "feret_angle_min_deg": (-90, 90),
    "fiber_curl": (0, None),
    "geodesic_aspect_ratio": (0, 1.0001),
    "intensity_grey": (0, 255),
    "particles_per_chain": (1, None),
    "sigma_intensity_grey": (0, 128),
    "symmetry": (0, 1.0001),
    "transparency": (None, 1),
}


def _property_columns() -> tuple[Column, ...]:
    columns = []
    for p in PROPERTIES:
        low, high = _BOUNDS.get(p.column, (0, None))
        meaning = f"{p.flowcam_name}: {p.formula} [{p.certainty}]"
        columns.append(Column(p.column, REAL, meaning, p.unit, nullable=True, low=low, high=high))
    return tuple(columns)


_MEASURED = (
    Column("particle_number", COUNT, "the instrument's Particle ID within the run", low=0),
    Column("has_image", FLAG, "whether the particle's crop can be read"),
    Column("crop_height_px", COUNT, "height of the crop", "px", low=0),
    Column("crop_width_px", COUNT, "width of the crop", "px", low=0),
    Column("image_file", TEXT, "collage or image that holds the crop", nullable=True),
    Column("source_frame", COUNT, "camera frame (Source Image)", nullable=True),
    Column("capture_x_px", REAL, "left edge of the crop in the camera frame (Capture X)", "px", nullable=True),
    Column("capture_y_px", REAL, "top edge of the crop in the camera frame (Capture Y)", "px", nullable=True),
    Column("timestamp", MOMENT, "local time of the photograph", nullable=True),
    Column("calibration_um_per_px", REAL, "size of a pixel, empty where unknown", "µm/px", nullable=True, low=1e-3),
    Column("properties_from", TEXT, "instrument (exported) or pixels (measured here from the crop)"),
    *_property_columns(),
)

SEGMENT_PARTICLES = Table("segment_particles", "a particle kept", (*_PARTICLE, *_CELL, *_MEASURED))
SYNTHETIC_PARTICLES = Table(
    "synthetic_particles",
    "a labelled laboratory particle",
    (*_PARTICLE, Column("label", TEXT, "known material"), Column("source", TEXT, "imported or simulated"), *_MEASURED),
)
SEGMENT_REJECTS = Table(
    "segment_rejects",
    "a row that was refused",
    (
        Column("run", TEXT, "run that the row came from"),
        Column("particle_number", COUNT, "Particle ID where it could be read", nullable=True),
        Column("file", TEXT, "file that holds the row"),
        Column("row", COUNT, "line in that file, counted from 1", nullable=True),
        Column("reason", TEXT, "what is wrong"),
        Column("remedy", TEXT, "what to do about it"),
    ),
)
SEGMENT_RUNS = Table(
    "segment_runs",
    "a run of the instrument",
    (
        Column("run", TEXT, "name of the run's folder", unique=True),
        *_CELL,
        Column("format", TEXT, "kind of files the run was read from"),
        Column("fingerprint", TEXT, "SHA-256 of the run's files"),
        Column("software_version", TEXT, "VisualSpreadsheet version", nullable=True),
        Column("magnification", TEXT, "objective", nullable=True),
        Column("calibration_um_per_px", REAL, "size of a pixel", "µm/px", nullable=True, low=1e-3),
        Column("volume_imaged_ml", REAL, "volume of water photographed, empty where unknown", "ml", True, low=0),
        Column("volume_source", TEXT, "file that stated the volume"),
        Column("efficiency", REAL, "share of the processed volume that was photographed", "", True, low=0),
        Column("started_at", TEXT, "start of the run, ISO 8601", nullable=True),
        Column("time_zone", TEXT, "zone of the start time", nullable=True),
        Column("particles_claimed", COUNT, "count that the run's summary states", nullable=True),
        Column("rows_found", COUNT, "rows in the run's list", low=0),
        Column("rows_kept", COUNT, "rows that became particles", low=0),
        Column("rows_refused", COUNT, "rows in the rejects table", low=0),
        Column("missing_files", TEXT, "files that the run lacks, comma-separated"),
        Column("problems", TEXT, "what was wrong but did not stop the run, a line each"),
    ),
)
SEGMENT_CROPS = Table(
    "segment_crops",
    "the image of a particle",
    (
        *_PARTICLE,
        Column("height_px", COUNT, "height of the crop", "px", low=1),
        Column("width_px", COUNT, "width of the crop", "px", low=1),
        Column("background_grey", REAL, "median grey of the crop's border", "grey", low=0, high=255),
        Column("pixels", pa.binary(), "8-bit greys of the crop at native size, line by line from the top"),
    ),
)
SYNTHETIC_SPLIT = Table(
    "synthetic_split",
    "a labelled particle and the set it belongs to",
    (
        *_PARTICLE,
        Column("label", TEXT, "known material"),
        Column("split", TEXT, "train, validation or test; no run is in two of them"),
        Column("split_by_image", TEXT, "the study's split: drawn by image, so runs straddle it"),
    ),
)
TRANSFER_FEATURES = Table(
    "transfer_features",
    "a labelled particle as a network sees it that learnt ImageNet and no particle",
    (*_PARTICLE, Column("t_*", SINGLE, "EfficientNet-Lite0, mean over the image of the last convolution's channel")),
)
_PROBABILITY_NOTE = "probability of the class"
SEGMENT_PREDICTIONS = Table(
    "segment_predictions",
    "a scored particle",
    (
        *_PARTICLE,
        *_CELL,
        Column("predicted_class", TEXT, "class with the highest probability"),
        Column("interest", REAL, "1 - probability of dust and contamination", low=-1e-6, high=1 + 1e-6),
        Column("p_*", REAL, f"{_PROBABILITY_NOTE}, mean of the models that could score it", low=0, high=1 + 1e-6),
        Column("p_cnn_*", REAL, f"{_PROBABILITY_NOTE} by the image network", "", True, low=0, high=1 + 1e-6),
        Column(
            "p_lightgbm_*", REAL, f"{_PROBABILITY_NOTE} by LightGBM on the properties", "", True, low=0, high=1 + 1e-6
        ),
    ),
)
SEGMENT_ANOMALY_SCORES = Table(
    "segment_anomaly_scores",
    "a particle and how unlike dust it is",
    (
        *_PARTICLE,
        *_CELL,
        Column("anomaly_score", REAL, "isolation forest trained on dust; more negative is more anomalous"),
        Column("dust_share_more_anomalous", REAL, "share of held-out dust at least this anomalous", low=0, high=1),
        Column(
            "reconstruction_error",
            REAL,
            "autoencoder trained on dust; larger is more anomalous; empty without one or without an image",
            nullable=True,
            low=0,
        ),
        Column(
            "dust_share_worse_drawn",
            REAL,
            "share of held-out dust with at least this reconstruction error",
            nullable=True,
            low=0,
            high=1,
        ),
    ),
)
SEGMENT_EMBEDDING = Table(
    "segment_embedding",
    "a particle in the network's own coordinates",
    (
        *_PARTICLE,
        *_CELL,
        Column("map_x", SINGLE, "place on the map of labelled particles", nullable=True),
        Column("map_y", SINGLE, "place on the map of labelled particles", nullable=True),
        Column("e_*", SINGLE, "activation of the network's last hidden layer", nullable=True),
    ),
)
CLASS_DISTRIBUTION = Table(
    "class_distribution",
    "a class in one replicate, or in all replicates of a segment together",
    (
        Column("core", TEXT, "ice core and bag"),
        Column("segment", TEXT, "depth range within the bag, from_to", "cm"),
        Column("replicate", COUNT, "repeated measurement; empty for all replicates together", nullable=True, low=1),
        Column("class", TEXT, "predicted class"),
        Column("count", COUNT, "particles predicted to be of the class", low=0),
        Column("share", REAL, "count / particles scored", low=0, high=1),
        Column("volume_imaged_ml", REAL, "volume of water photographed, empty where unknown", "ml", True, low=0),
        Column("per_ml", REAL, "count / volume imaged", "1/ml", True, low=0),
        Column("per_ml_low", REAL, "lower end of the 95 % Poisson interval (Garwood)", "1/ml", True, low=0),
        Column("per_ml_high", REAL, "upper end of the 95 % Poisson interval (Garwood)", "1/ml", True, low=0),
        Column("overdispersion_p", REAL, "chi-square p-value that replicates share one rate", "", True, low=0, high=1),
    ),
)
ANOMALY_RANKING = Table(
    "anomaly_ranking",
    "a particle of the core, most interesting first",
    (
        Column("rank", COUNT, "1 is the first to look at", unique=True, low=1),
        *_PARTICLE,
        *_CELL,
        Column(
            "rank_score",
            REAL,
            "log-odds of interest + log(1 / share of the core at least as odd in it), natural logarithm",
        ),
        *SEGMENT_PREDICTIONS.columns[5:],
        *SEGMENT_ANOMALY_SCORES.columns[5:],
        Column(
            "core_anomaly_score",
            REAL,
            "isolation forest grown on the core's own particles; more negative is odder among them",
        ),
        *(
            replace(c, nullable=True)
            for c in _MEASURED
            if c.name
            in {
                "diameter_abd_um",
                "diameter_esd_um",
                "diameter_fd_um",
                "length_um",
                "width_um",
                "calibration_um_per_px",
                "source_frame",
                "capture_x_px",
                "capture_y_px",
                "timestamp",
            }
        ),
    ),
)
MAP = Table(
    "map",
    "a particle on a map",
    (
        *_PARTICLE,
        Column("class", TEXT, "label of a laboratory particle, or predicted class of an ice particle"),
        Column("anomaly_score", REAL, "isolation forest; more negative is more anomalous", nullable=True),
        Column("map_x", SINGLE, "UMAP coordinate, no unit"),
        Column("map_y", SINGLE, "UMAP coordinate, no unit"),
    ),
)


def _judged(side: str, particles: str) -> tuple[Column, ...]:
    """How a classifier did on the particles of one side: each figure, and the ends of its interval."""
    figures = {
        "accuracy": "share classified rightly",
        "balanced_accuracy": "mean recall of the classes",
        "macro_f1": "mean F1 of the classes",
        "calibration_error": "expected calibration error, 15 bins",
    }
    interval = {"": "", "_low": "; lower end of the 95 % interval by run", "_high": "; upper end"}
    return tuple(
        Column(f"{side}_{name}{end}", REAL, f"{meaning} of the {particles}{which}", "", True, low=0, high=1)
        for name, meaning in figures.items()
        for end, which in interval.items()
    )


NETWORK_LEADERBOARD = Table(
    "network_leaderboard",
    "a saved image network; within a task, the best first",
    (
        Column("task", TEXT, "classes to tell apart"),
        Column("architecture", TEXT, "key in the registry of architectures"),
        Column("parameters", COUNT, "weights that it learns", low=0),
        Column("split", TEXT, "how the labelled particles were divided, by run or by image"),
        Column("learnt_from", TEXT, "version of synthetic_particles", nullable=True),
        Column("comparable", FLAG, "divided by run, newest labelled particles, all of the validation side"),
        Column("best", FLAG, "the best comparable one of its task on the validation particles"),
        Column("epochs", COUNT, "passes over the training images", low=1),
        Column("best_epoch", COUNT, "epoch whose weights were kept", low=1),
        Column("seconds", REAL, "how long the training took", "s", nullable=True, low=0),
        Column("kwh", REAL, "energy of the machine meanwhile", "kWh", nullable=True, low=0),
        Column("validation_particles", COUNT, "particles that it was validated on", low=1),
        *_judged("validation", "validation particles"),
        *_judged("test", "test particles, for the best alone"),
        Column("version", TEXT, "content hash of the model"),
    ),
)

_COST = (
    Column("seconds", REAL, "wall-clock time, empty where unknown", "s", True, low=0),
    Column("kwh", REAL, "energy of the whole machine meanwhile, empty where unknown", "kWh", True, low=0),
    Column("co2eq_g", REAL, "greenhouse gases of that energy as CO2, empty where unknown", "g", True, low=0),
    Column("car_km", REAL, "distance in a car that emits as much, empty where unknown", "km", True, low=0),
    Column("method", TEXT, "how this was estimated, and how far it may be off"),
)
SCORING_ENERGY = Table(
    "scoring_energy",
    "one scoring of a segment",
    (
        Column("core", TEXT, "ice core and bag"),
        Column("segment", TEXT, "depth range within the bag, from_to", "cm"),
        Column("scored_at", MOMENT, "end of the scoring, UTC"),
        Column("tables", TEXT, "scores that were made, comma-separated"),
        Column("task", TEXT, "task whose models scored"),
        Column("architecture", TEXT, "of the image network"),
        Column("particles", COUNT, "particles scored", low=0),
        *_COST,
    ),
)
SEARCH_TRIALS = Table(
    "search_trials",
    "a training that a search tried",
    (
        Column("study", TEXT, "trials of one study were made under the same conditions"),
        Column("task", TEXT, "task that was searched for"),
        Column("trial", COUNT, "number within the study, from 0", low=0),
        Column("state", TEXT, "complete, pruned (the loss was no number), or fail (stopped on the way)"),
        Column("validation_balanced_accuracy", REAL, "on validation runs", "", True, low=0, high=1),
        Column("best_epoch", COUNT, "epoch with the lowest validation loss", nullable=True, low=1),
        Column("architecture", TEXT, "of the image network", nullable=True),
        Column("learning_rate", REAL, "of Adam", nullable=True, low=0),
        Column("batch_size", COUNT, "images a step", nullable=True, low=1),
        Column("balanced", FLAG, "whether classes were drawn equally often", nullable=True),
        *_COST,
    ),
)
ENERGY_LEDGER = Table(
    "energy_ledger",
    "a kind of work and what all of it together has cost",
    (
        Column("by", TEXT, "this laboratory, or the study that it is compared with"),
        Column("stage", TEXT, "training, search, scoring, or all together"),
        Column("kind", TEXT, "kind of model; empty for all together", nullable=True),
        Column("task", TEXT, "task, where there is one", nullable=True),
        Column("architecture", TEXT, "network, where there is one", nullable=True),
        Column("pieces", COUNT, "trainings, trials of a search, or scorings of a segment", low=0),
        Column("unmeasured", COUNT, "pieces whose energy could not be estimated and is not in the sum", low=0),
        *_COST,
    ),
)

TABLES: tuple[Table, ...] = (
    SYNTHETIC_PARTICLES,
    SYNTHETIC_SPLIT,
    TRANSFER_FEATURES,
    SEGMENT_PARTICLES,
    SEGMENT_REJECTS,
    SEGMENT_RUNS,
    SEGMENT_CROPS,
    SEGMENT_PREDICTIONS,
    SEGMENT_ANOMALY_SCORES,
    SEGMENT_EMBEDDING,
    CLASS_DISTRIBUTION,
    ANOMALY_RANKING,
    MAP,
    NETWORK_LEADERBOARD,
    SCORING_ENERGY,
    SEARCH_TRIALS,
    ENERGY_LEDGER,
)
