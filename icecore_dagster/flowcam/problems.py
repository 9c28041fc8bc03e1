"""What can be wrong with a run, in words that a user can act on: errors, refused rows, and things tolerated."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}, line {line}"


class RunError(ValueError):
    """A file of a run cannot be read at all; says which file, which line and what to do."""

    @classmethod
    def at(cls, file: str, line: int | None, message: str, remedy: str) -> "RunError":
        """Build the error.

        Args:
            file: name of the file.
            line: 1-based line in it, if the fault has a line.
            message: what is wrong.
            remedy: what the user can do.
        """
        return cls(f"{_place(file, line)}: {message}; {remedy}")


@dataclass(frozen=True)
class Problem:
    """Something wrong that did not stop the run.

    Attributes:
        file: name of the file.
        line: 1-based line in it, or None.
        message: what is wrong.
        remedy: what the user can do.
    """

    file: str
    line: int | None
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{_place(self.file, self.line)}: {self.message}; {self.remedy}"


@dataclass(frozen=True)
class Reject:
    """One refused row.

    Attributes:
        particle_id: its Particle ID where that could be read.
        file: name of the file that holds the row.
        row: 1-based line of the row in that file.
        reason: why it was refused.
        remedy: what the user can do.
        run: the run it belongs to; empty until that is known.
    """

    particle_id: int | None
    file: str
    row: int
    reason: str
    remedy: str
    run: str = ""


def rejects_table(rejects: Iterable[Reject], run: str) -> pd.DataFrame:
    """Refused rows as a table, in the order of the file.

    Args:
        rejects: refused rows.
        run: name for those whose run is not known.

    Returns:
        Columns Run, Particle ID (Int64, may be missing), file, row, reason, remedy.
    """
    rows = sorted(rejects, key=lambda r: (r.file, r.row))
    return pd.DataFrame(
        {
            "Run": pd.array([r.run or run for r in rows], dtype="string"),
            "Particle ID": pd.array([r.particle_id for r in rows], dtype="Int64"),
            "file": pd.array([r.file for r in rows], dtype="string"),
            "row": pd.array([r.row for r in rows], dtype="int64"),
            "reason": pd.array([r.reason for r in rows], dtype="string"),
            "remedy": pd.array([r.remedy for r in rows], dtype="string"),
        }
    )
