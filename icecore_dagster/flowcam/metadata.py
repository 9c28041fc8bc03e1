"""The key-value files beside a particle table: context (`.ctx`), run summary (`.txt`) and list summary (`.csv`).

They are read without judging; `facts.py` decides what to believe.
"""

import math
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from icecore_dagster.flowcam.tables.delimited import text_encoding

_QUANTITY = re.compile(r"\s*([-+]?\d+(?:\.(\d+))?(?:[eE]([-+]?\d+))?)\s*([^\d\s.,][^,]*)?\s*")


@dataclass(frozen=True)
class Quantity:
    """A number as it was written.

    Attributes:
        value: the number.
        half_unit: half of its last written digit; the true value lies within value +- half_unit.
        unit: what follows the number, such as "ml" or "%"; may be empty.
        file: name of the file it stands in.
    """

    value: float
    half_unit: float
    unit: str
    file: str


def parse_quantity(text: str, file: str) -> Quantity | None:
    """The number and unit in `0.0290 ml`, `22.2%` or `10X`; None if the text is anything else."""
    match = _QUANTITY.fullmatch(text)
    if match is None or not math.isfinite(float(match[1])):
        return None
    exponent = int(match[3] or 0) - len(match[2] or "")
    return Quantity(float(match[1]), 0.5 * 10.0**exponent, (match[4] or "").strip(), file)


@dataclass(frozen=True)
class Settings:
    """The keys and values of one file.

    Attributes:
        file: its name.
        values: lower-case key (`section/key` in a context file) -> the first text given for it.
    """

    file: str
    values: dict[str, str]

    def text(self, *keys: str) -> str | None:
        """The text of the first of these keys that is there and not blank."""
        for key in keys:
            if value := self.values.get(key.lower(), "").strip():
                return value
        return None

    def quantity(self, *keys: str) -> Quantity | None:
        """The number of the first of these keys that is there and holds one."""
        for key in keys:
            if (text := self.text(key)) and (quantity := parse_quantity(text, self.file)):
                return quantity
        return None

    def number(self, *keys: str) -> float | None:
        """The value of `quantity`."""
        quantity = self.quantity(*keys)
        return None if quantity is None else quantity.value

    def moment(self, *keys: str) -> datetime | None:
        """A date and time written as `2024-04-08 11:10:51`, with any number of spaces between."""
        text = self.text(*keys)
        try:
            return datetime.fromisoformat(" ".join(text.split())).replace(tzinfo=None) if text else None
        except ValueError:
            return None


def read_context(path: Path) -> Settings:
    """Read a `.ctx` file: `[Section]`, then `Key=Value` (or a tab instead of `=` in version 5).

    The case of keys differs between versions and does not matter; of a repeated key the first counts.
    """
    values: dict[str, str] = {}
    section = ""
    for line in path.read_text(encoding=text_encoding(path)).splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.strip()[1:-1].lower()
            continue
        key, separator, value = re.match(r"([^=\t]*)([=\t]?)(.*)", line).groups()  # type: ignore[union-attr]
        if separator and key.strip():
            values.setdefault(f"{section}/{key.strip().lower()}", value)
    return Settings(path.name, values)


def read_run_summary(path: Path) -> Settings:
    """Read a `_run_summary.txt`: sections of tab-indented `Key: value unit`; of a repeated key the first counts."""
    return _keyed_lines(path, ":")


def read_list_summary(path: Path) -> Settings:
    """Read a `_summary.csv`: `Key,value` lines before (version 3-4) or between (version 5) tables of statistics."""
    return _keyed_lines(path, ",;\t")


def _keyed_lines(path: Path, separators: str) -> Settings:
    values: dict[str, str] = {}
    for line in path.read_text(encoding=text_encoding(path)).splitlines():
        key, *rest = re.split(f"[{separators}]", line.strip(), maxsplit=1)
        if rest and key.strip():
            values.setdefault(key.strip().lower(), rest[0].strip().strip('"').rstrip(",;"))
    return Settings(path.name, values)
