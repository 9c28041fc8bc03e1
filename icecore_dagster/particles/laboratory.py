"""The folders of one laboratory: where data goes in, where answers come out, and how the environment moves them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from icecore_dagster.particles.tables.store import Store

DATA_VARIABLE, STORAGE_VARIABLE = "ICECORE_DATA", "ICECORE_STORAGE"


@dataclass(frozen=True)
class Laboratory:
    """One laboratory's data.

    Args:
        data: folder that everything local lives in.
        store: where results go; `<data>/results` unless configured otherwise.
    """

    data: Path
    store: Store

    @classmethod
    def at(cls, data: str | Path, storage: str | None = None) -> "Laboratory":
        """The laboratory in a data folder, with results below it or at a storage URL."""
        folder = Path(data).absolute()
        return cls(folder, Store.at(storage or folder / "results"))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Laboratory":
        """The laboratory that `ICECORE_DATA` (default `./data`) and `ICECORE_STORAGE` name."""
        return cls.at(environment.get(DATA_VARIABLE) or "data", environment.get(STORAGE_VARIABLE))

    @property
    def landing(self) -> Path:
        """Ice runs arrive here, one folder a run."""
        return self.data / "landing"

    @property
    def labelled(self) -> Path:
        """Laboratory runs of known material, one folder a run."""
        return self.data / "labelled"

    @property
    def published(self) -> Path:
        """The published labelled dataset, if it was placed here (`datasets/*.csv`)."""
        return self.data / "datasets"

    @property
    def truth(self) -> Path:
        """What simulated ice particles really are, kept apart from the runs."""
        return self.data / "truth"

    @property
    def scratch(self) -> Path:
        """Local copies of remote results; may be deleted at any time."""
        return self.data / "scratch"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own records."""
        return self.data / "dagster"
