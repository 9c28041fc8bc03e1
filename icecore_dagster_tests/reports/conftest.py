"""A small scored core with every table that a report is made from, and what several tests ask of a picture."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from icecore_dagster.particles.labels import LABEL_KEYS
from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.properties import PROPERTIES
from icecore_dagster.particles.tables.schemas import (
    MAP,
    SEGMENT_ANOMALY_SCORES,
    SEGMENT_CROPS,
    SEGMENT_EMBEDDING,
    SEGMENT_PARTICLES,
    SEGMENT_PREDICTIONS,
    SEGMENT_REJECTS,
    SEGMENT_RUNS,
    Table,
)
from icecore_dagster.particles.tables.store import read_table, write_table
from icecore_dagster.scoring.core.rollup import keep_class_distribution, keep_ranking

CORE, SEGMENTS, REPLICATES, PER_RUN = "GRIP_3046", ("0_20", "40_55"), (1, 2), 120
HOSTILE = "crop outside its collage <script>alert('x')</script>"
MODELS = {"network": "0123456789abcdef" * 4, "trees": "fedcba9876543210" * 4, "forest": "aa55" * 16}


@dataclass(frozen=True)
class ScoredCore:
    """A laboratory with one scored core, and its particles with all their scores side by side."""

    lab: Laboratory
    core: str
    particles: pd.DataFrame
    distribution: pd.DataFrame
    ranking: pd.DataFrame


@pytest.fixture(scope="session")
def scored_core(tmp_path_factory: pytest.TempPathFactory) -> ScoredCore:
    lab = Laboratory.at(tmp_path_factory.mktemp("laboratory"))
    rng = np.random.default_rng(7)
    segments = [_keep_segment(lab, segment, rng) for segment in SEGMENTS]
    labelled = pd.concat(segments).sample(60, random_state=1)
    write_table(lab.store.table("synthetic_umap"), _only(labelled.assign(**{"class": "dust"}), MAP), MAP)
    distribution = keep_class_distribution(lab, CORE, "seven_class")
    keep_ranking(lab, CORE)
    ranking = read_table(lab.store.table("anomaly_ranking", CORE))
    return ScoredCore(lab, CORE, pd.concat(segments, ignore_index=True), distribution, ranking)


def _keep_segment(lab: Laboratory, segment: str, rng: np.random.Generator) -> pd.DataFrame:
    """Draw one segment's particles and scores and keep all its tables."""
    particles = pd.concat([_draw_run(segment, replicate, rng) for replicate in REPLICATES], ignore_index=True)
    note: dict[str, object] = {"models": MODELS}
    for table in (SEGMENT_PARTICLES, SEGMENT_PREDICTIONS, SEGMENT_ANOMALY_SCORES, SEGMENT_EMBEDDING):
        write_table(lab.store.table(table.name, CORE, segment), _only(particles, table), table, note)
    with_image = particles[particles["has_image"]]
    crops = with_image.assign(
        height_px=40, width_px=48, background_grey=127.0, pixels=[_crop(d) for d in with_image["diameter_esd_um"]]
    )
    write_table(lab.store.table(SEGMENT_CROPS.name, CORE, segment), _only(crops, SEGMENT_CROPS), SEGMENT_CROPS)
    write_table(lab.store.table(SEGMENT_RUNS.name, CORE, segment), _runs(segment), SEGMENT_RUNS)
    rejects = pd.DataFrame(
        {
            "run": [f"{CORE}_{segment}_1"],
            "particle_number": [17],
            "file": ["run.lst"],
            "row": [73],
            "reason": [HOSTILE],
            "remedy": ["export the run again"],
        }
    )
    write_table(lab.store.table(SEGMENT_REJECTS.name, CORE, segment), rejects, SEGMENT_REJECTS)
    return particles


def _draw_run(segment: str, replicate: int, rng: np.random.Generator) -> pd.DataFrame:
    run = f"{CORE}_{segment}_{replicate}"
    predicted = np.array(["dust"] * (PER_RUN - 8) + ["camp"] * 3 + ["grim"] + ["corylus"] + ["cont"] * 3)
    is_dust = predicted == "dust"
    esd_um = np.where(is_dust, rng.lognormal(1.2, 0.4, PER_RUN), rng.lognormal(3, 0.3, PER_RUN))
    probabilities = np.where(predicted[:, None] == np.array(LABEL_KEYS), 0.88, 0.02)
    frame = pd.DataFrame(
        {
            "particle_id": [f"{run}_{n}" for n in range(PER_RUN)],
            "run": run,
            "core": CORE,
            "segment": segment,
            "replicate": replicate,
            "particle_number": range(PER_RUN),
            "has_image": [n != PER_RUN - 8 for n in range(PER_RUN)],
            "crop_height_px": 40,
            "crop_width_px": 48,
            "image_file": f"{run}_000001.tif",
            "source_frame": range(PER_RUN),
            "capture_x_px": 300.0,
            "capture_y_px": 200.0,
            "timestamp": pd.Timestamp("2021-11-04 10:11:12"),
            "calibration_um_per_px": 0.277,
            "properties_from": "instrument",
            "predicted_class": predicted,
            "anomaly_score": np.where(is_dust, -0.42, -0.6) + rng.normal(0, 0.02, PER_RUN),
            "dust_share_more_anomalous": np.where(is_dust, 0.5, 0.002),
            "reconstruction_error": np.where(is_dust, 0.002, 0.02) * rng.uniform(0.5, 2, PER_RUN),
            "dust_share_worse_drawn": np.where(is_dust, 0.5, 0.004),
            "map_x": rng.normal(0, 1, PER_RUN) + 5 * is_dust,
            "map_y": rng.normal(0, 1, PER_RUN),
            "e_00": 0.0,
        }
    )
    scores = {
        f"{prefix}{key}": probabilities[:, i]
        for prefix in ("p_", "p_cnn_", "p_lightgbm_")
        for i, key in enumerate(LABEL_KEYS)
    }
    sizes = {p.column: 0.5 if not p.unit.startswith("µm") else esd_um for p in PROPERTIES}
    interest = 1 - scores["p_dust"] - scores["p_cont"]
    return frame.assign(**scores, **sizes, interest=interest)


def _runs(segment: str) -> pd.DataFrame:
    rows = [
        {
            "run": f"{CORE}_{segment}_{replicate}",
            "core": CORE,
            "segment": segment,
            "replicate": replicate,
            "format": "list 017",
            "fingerprint": "0f" * 32,
            "software_version": "4.19.3",
            "magnification": "20X",
            "calibration_um_per_px": 0.277,
            "volume_imaged_ml": 0.02,
            "volume_source": "run summary",
            "efficiency": 0.22,
            "started_at": "2021-11-04T10:11:12",
            "time_zone": "local, zone unknown",
            "particles_claimed": PER_RUN + 5,
            "rows_found": PER_RUN + (replicate == 1),
            "rows_kept": PER_RUN,
            "rows_refused": int(replicate == 1),
            "missing_files": "run.ctx" if replicate == 2 else "",
            "problems": "",
        }
        for replicate in REPLICATES
    ]
    return pd.DataFrame(rows)


def _crop(diameter_um: float) -> bytes:
    crop = np.full((40, 48), 127, np.uint8)
    cv2.circle(crop, (24, 20), int(np.clip(diameter_um / 0.277 / 2, 2, 18)), 60, cv2.FILLED)
    return crop.tobytes()


def _only(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """The columns of a wide frame that a table declares."""
    return frame[[name for name in frame if table.column(str(name)) is not None]]


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[bytes], np.ndarray]:
    """Decodes a PNG and holds against it what every figure must keep: it is not blank and nothing is cut off."""

    def decode(png: bytes) -> np.ndarray:
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert image is not None
        assert image.std() > 5, "blank"
        for name, side in {"top": image[0], "bottom": image[-1], "left": image[:, 0], "right": image[:, -1]}.items():
            assert (side == 255).all(), f"something is cut off at the {name}"
        return image

    return decode


def shows_colour(image: np.ndarray, colour: str) -> bool:
    """Whether a picture (h, w, RGB) has pixels of exactly a colour written as #rrggbb."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((image == wanted).all(axis=2).any())
