"""Reading lists: every version by its header, bad rows refused one by one, bad files refused as a whole."""

import numpy as np
import pandas as pd
import pytest

from icecore_dagster.flowcam.problems import RunError
from icecore_dagster.flowcam.tables.lists import read_list

from .builders import FIELDS_53, FIELDS_57, FIELDS_65, list_text, particle


def written(tmp_path, text: str | bytes):
    path = tmp_path / "run.lst"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("fields", [FIELDS_53, FIELDS_57, FIELDS_65], ids=["53", "57", "65"])
def test_fields_are_found_by_their_names(tmp_path, fields):
    table = read_list(written(tmp_path, list_text([particle(1), particle(2)], fields)))
    assert table.format == "list 017"
    assert table.rows["Particle ID"].tolist() == [1, 2]
    assert table.rows["Image Width"].tolist() == [12, 12]
    assert table.rows["Calibration Factor"].tolist() == [0.277, 0.277]
    assert table.rows["Timestamp"][0] == pd.Timestamp("2020-11-13T10:00:01.250")
    assert table.rows["Row"].tolist() == [len(fields) + 3, len(fields) + 4]


def test_the_order_of_fields_does_not_matter(tmp_path):
    straight = read_list(written(tmp_path, list_text([particle(3)], FIELDS_53))).rows
    turned = read_list(written(tmp_path, list_text([particle(3)], FIELDS_53[::-1]))).rows
    pd.testing.assert_frame_equal(straight, turned[straight.columns])


def row_013(number: int, fields: int) -> str:
    head = [
        number,
        0.5,
        24,
        7,
        5,
        6.0,
        16,
        15,
        6.0,
        2.76,
        3.0,
        1.5,
        3.1,
        8,
        7.5,
        100.0,
        9.0,
        1.25,
        1.5,
        2400,
        1.06,
        -30,
    ]
    colours = [100, 101, 102, 1, *[0] * 8]
    place = ["page_000001.tif", 14 * number, 0, 12, 10, 300, 400]
    since_1601 = pd.Timestamp("2020-11-13T09:00:20.893").timestamp() + 11_644_473_600
    high, low = divmod(round(since_1601 * 1000) * 10_000, 1 << 32)
    end = [high, f"{low}l", "1.57e+004"] if fields == 44 else [33.0, high, f"{low}l", 7, 1]
    return ":".join(str(v) for v in [*head, *([60] if fields == 47 else []), *colours, *place, *end])


@pytest.mark.parametrize("fields", [44, 47])
def test_version_013_has_no_header(tmp_path, fields):
    table = read_list(written(tmp_path, "013\n2\n" + row_013(1, fields) + "\n" + row_013(2, fields) + "\n"))
    assert table.format == "list 013"
    assert table.claimed == 2
    assert table.rows["Particle ID"].tolist() == [1, 2]
    assert table.rows["Image X"].tolist() == [14, 28]
    assert table.rows["Image File"].tolist() == ["page_000001.tif"] * 2
    assert table.rows["Diameter (ESD)"].tolist() == [3.1, 3.1]
    assert table.rows["Timestamp"][0] == pd.Timestamp("2020-11-13T09:00:20.893")
    assert table.times_are_utc
    assert ("Edge Gradient" in table.rows) == (fields == 47)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda line: line.rsplit("|", 3)[0], "50 values where 53 are expected"),
        (lambda line: line + "|7", "54 values where 53 are expected"),
        (lambda line: line.replace("|0.2770|", "|0,2770|", 1), "Calibration Factor is '0,2770', not a number"),
        (lambda line: line.replace("|24.0000|", "|nan|", 1), "raw_area is 'nan', not a number"),
        (lambda line: line.replace("|12|10|", "|12|1e400|", 1), "Image Height is 'inf', not a whole number"),
        (lambda line: line.replace("|12|10|", "|12.5|10|", 1), "Image Width is '12.5', not a whole number"),
        (lambda line: line.replace("|0.2770|", "|\0.277|", 1), "unreadable bytes"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_the_rest_is_read(tmp_path, spoil, reason):
    lines = list_text([particle(n) for n in (1, 2, 3)]).splitlines()
    lines[-2] = spoil(lines[-2])
    table = read_list(written(tmp_path, "\n".join(lines) + "\n"))
    (reject,) = table.rejects
    assert reason in reject.reason
    assert (reject.file, reject.row, reject.particle_id) == ("run.lst", 57, 2)
    assert reject.remedy
    assert table.rows["Particle ID"].tolist() == [1, 3]
    assert table.rows["Image Width"].dtype == np.int64
    assert table.rows_in == 3


def test_blank_lines_are_no_rows(tmp_path):
    table = read_list(written(tmp_path, list_text([particle(1)]) + "\n  \n"))
    assert table.rows_in == 1
    assert not table.rejects


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_list_cut_off_in_its_last_row_says_so(tmp_path, cut):
    table = read_list(written(tmp_path, list_text([particle(1), particle(2)])[:-cut]))
    assert table.is_cut_off
    assert any("cut off" in problem.message for problem in table.problems)
    assert table.rows_in == 2


def test_an_unreadable_time_keeps_its_row(tmp_path):
    table = read_list(written(tmp_path, list_text([particle(1), particle(2, timestamp="yesterday")])))
    assert table.rows["Timestamp"].isna().tolist() == [False, True]
    (problem,) = table.problems
    assert problem.line == 57
    assert "no time can be read in 1 of 2 rows" in problem.message


@pytest.mark.parametrize(
    ("content", "place", "message"),
    [
        (b"", "run.lst:", "is empty"),
        (b"\n\n", "run.lst:", "is empty"),
        (list_text([]).encode(), "run.lst:", "no rows"),
        (b"018\nnum-fields|2\n", "run.lst, line 1", "unknown list version '018'"),
        (bytes(range(128, 256)) * 4, "run.lst, line 1", "unknown list version"),
        (b"017\nfields: 53\n", "run.lst, line 2", "num-fields"),
        (b"017\nnum-fields|3\nid|int32\nimage_x|int32\n", "run.lst, line 4", "ends within its header"),
        (b"017\nnum-fields|3\nid|int32\n1|2|3\n", "run.lst, line 4", "no 'name|type'"),
        (b"017\nnum-fields|2\nid|int32\nid|int32\n1|2\n", "run.lst, line 4", "stands twice"),
        (b"017\nnum-fields|1\nppc|int32\n1\n", "run.lst, line 3", "no field 'id'"),
        (b"013\n1\n1:2:3\n", "run.lst, line 3", "rows of 3 values"),
    ],
)
def test_a_bad_file_is_refused_with_place_and_remedy(tmp_path, content, place, message):
    with pytest.raises(RunError) as caught:
        read_list(written(tmp_path, content))
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)
    assert ";" in str(caught.value)


def test_a_hundred_thousand_rows_take_seconds(tmp_path):
    header, row = list_text([particle(1)]).rsplit("\n1|", 1)
    body = "".join(f"\n{n}|{row[:-1]}" for n in range(1, 100_001))
    path = written(tmp_path, header + body + "\n")
    before = pd.Timestamp.now()
    table = read_list(path)
    assert len(table.rows) == 100_000
    assert pd.Timestamp.now() - before < pd.Timedelta("20s")
