"""How numbers and places are written for people: counts, concentrations with their intervals, depths, sizes."""

import math

UNKNOWN = "unknown"

_NARROW = "\u00a0"
"""Between a number and its unit: they stay on one line."""


def count(value: float | None) -> str:
    """A whole number with thousands separated: 12,345."""
    return UNKNOWN if not is_known(value) else f"{int(value):,}"  # type: ignore[arg-type]


def number(value: float | None, digits: int = 3) -> str:
    """A number to so many significant digits, without powers of ten where people would not write them."""
    if not is_known(value):
        return UNKNOWN
    assert value is not None
    value = float(value)
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if exponent >= digits - 1:
        step = 10 ** (exponent - digits + 1)
        return f"{round(value / step) * step:,.0f}".replace("-", "−")
    if exponent < -4:
        mantissa = value / 10.0**exponent
        return f"{mantissa:.{digits - 1}f}·10^{exponent}".replace("-", "−")
    return f"{value:.{digits - 1 - exponent}f}".replace("-", "−")


def interval(low: float | None, high: float | None) -> str:
    """The two ends of an interval: 0.62–8.77."""
    return "" if not (is_known(low) and is_known(high)) else f"{number(low)}–{number(high)}"


def share(value: float | None) -> str:
    """A share of one as a percentage: 0.1 %."""
    return UNKNOWN if not is_known(value) else f"{number(100 * float(value), 2)}{_NARROW}%"  # type: ignore[arg-type]


def depth_range(segment: str) -> str:
    """A segment's depth within its bag: `40_55` is 40–55 cm."""
    ends = str(segment).split("_")
    if len(ends) == 2 and all(end.replace(".", "", 1).isdigit() for end in ends):
        return f"{ends[0]}–{ends[1]}{_NARROW}cm"
    return str(segment)


def size(value_um: float | None) -> str:
    """A size in micrometres: 22.1 µm."""
    return UNKNOWN if not is_known(value_um) else f"{number(value_um)}{_NARROW}µm"


def volume(value_ml: float | None) -> str:
    """A volume in millilitres: 0.0391 ml."""
    return UNKNOWN if not is_known(value_ml) else f"{number(value_ml)}{_NARROW}ml"


def chance(p_value: float) -> str:
    """A p-value as it is quoted: p = 0.0031, or p < 0.0001."""
    return f"p{_NARROW}<{_NARROW}0.0001" if p_value < 1e-4 else f"p{_NARROW}={_NARROW}{number(p_value, 2)}"


def moment(iso: object) -> str:
    """A time stated in ISO 8601 as people write it: 2021-11-04 10:11."""
    return text(iso)[:16].replace("T", " ") or UNKNOWN


def text(value: object) -> str:
    """Anything from a table cell as text, empty where it is missing."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or str(value) in ("NaT", "<NA>"):
        return ""
    # Whole numbers beside missing ones come out of a table as floats.
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def is_known(value: object) -> bool:
    """Whether a table cell holds anything."""
    return text(value) != ""
