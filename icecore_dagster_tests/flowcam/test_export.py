"""Reading exports: headings of every version, encodings, separators, and what is refused."""

import numpy as np
import pytest

from icecore_dagster.flowcam.problems import RunError
from icecore_dagster.flowcam.tables.columns import KINDS, export_column
from icecore_dagster.flowcam.tables.export import read_export, read_heading


def written(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "run.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("Area (ABD) (µm²)", "Area (ABD)"),  # U+00B5
        ("Area (ABD) (μm²)", "Area (ABD)"),  # U+03BC
        ("Area (ABD) (ÂµmÂ²)", "Area (ABD)"),  # UTF-8 read as latin-1
        ("Area (ABD) (\ufffdm\ufffd)", "Area (ABD)"),
        ("Volume (ESD) (um3)", "Volume (ESD)"),
        ("Biovolume (P. Spheroid) (µm³)", "Biovolume (P. Spheroid)"),
        ("Circularity (Hu)", "Circularity (Hu)"),
        ("Diameter (ABD)", "Diameter (ABD)"),
        ("Elapsed Time (s)", "Elapsed Time"),
        ("Image X (px)", "Image X"),
        (" particle id ", "Particle ID"),
        ("Capture ID", "Particle ID"),
        ("UUID", "Original Reference ID"),
        ("PixelW", "Image Width"),
        ("Cal Const", "Calibration Factor"),
        ("PPC", "Particles Per Chain"),
        ("PP_MyOwn (best)", "PP_MyOwn (best)"),
    ],
)
def test_headings_of_every_version_come_to_version_4(heading, column):
    assert export_column(heading) == column


def test_every_version_4_name_stays_as_it_is():
    assert [export_column(name) for name in KINDS] == list(KINDS)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "latin-1"])
def test_version_5_is_read_in_any_encoding(tmp_path, encoding):
    text = "Capture ID,Area (ABD) (µm²),Image Width (px),Image Height (px),UUID\r\n7,1.25,12,10,A-1\r\n"
    table = read_export(written(tmp_path, text, encoding))
    assert table.rows[["Particle ID", "Area (ABD)", "Image Width"]].iloc[0].tolist() == [7, 1.25, 12]
    assert table.rows["Original Reference ID"].tolist() == ["A-1"]


@pytest.mark.parametrize(
    "text",
    [
        "Particle ID;Area (ABD);Length\n1;1,25;1,57e+004\n2;2;3\n",
        "Particle ID;Area (ABD);Length\n1;1.25;1.57e+004\n2;2;3\n",
        "Particle ID\tArea (ABD)\tLength\n1\t1,25\t15700\n2\t2\t3\n",
        'Particle ID,Area (ABD),Length\n1,1.25,15700\n2,"2",3\n',
    ],
    ids=["semicolon and comma", "semicolon and point", "tab and comma", "quoted"],
)
def test_separator_and_decimal_sign_are_found_out(tmp_path, text):
    rows = read_export(written(tmp_path, text)).rows
    assert rows["Area (ABD)"].tolist() == [1.25, 2.0]
    assert rows["Length"].tolist() == [15700.0, 3.0]


def test_a_comma_with_two_meanings_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"run\.csv, line 2: more values than headings.*decimal points"):
        read_export(written(tmp_path, "Particle ID,Area (ABD),Length\n1,1,25,3,5\n2,1,5,2,5\n"))


def test_a_point_among_decimal_commas_is_refused(tmp_path):
    table = read_export(written(tmp_path, "Particle ID;Length\n1;1,25\n2;1.250\n3;4\n"))
    assert table.rows["Length"].tolist() == [1.25, 4.0]
    assert [(r.row, r.particle_id) for r in table.rejects] == [(3, 2)]


def test_undefined_ratios_and_empty_cells_are_kept(tmp_path):
    text = "Particle ID,Ch2/Ch1 Ratio,Symmetry,Ratio Red/Green\n1,inf,0.5,nan\n2,nan,,1.0\n3,x,0.1,1.0\n"
    table = read_export(written(tmp_path, text))
    assert table.rows["Particle ID"].tolist() == [1, 2]
    assert np.isnan(table.rows["Symmetry"][1])
    assert np.isinf(table.rows["Ch2/Ch1 Ratio"][0])
    (problem,) = table.problems
    assert (problem.line, "Symmetry" in problem.message) == (3, True)
    (reject,) = table.rejects
    assert "'x', not a number" in reject.reason


def test_columns_of_others_are_kept(tmp_path):
    table = read_export(written(tmp_path, ",Unnamed: 1,Particle ID,imgpaths,camp\n0,0,1,a/camp_1.png,1\n"))
    assert table.format == "image table"
    assert table.rows.columns.tolist() == ["Particle ID", "imgpaths", "camp", "Row"]
    assert table.rows["camp"].tolist() == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "run.csv: the table is empty"),
        ("Particle ID,Length\n", "run.csv, line 1: the table is empty"),
        ("Key,Value\na,b\n", "run.csv, line 1: it has neither"),
        ("Particle ID,Length,Length (µm)\n1,2,3\n", "run.csv, line 1: the column 'Length' stands twice"),
    ],
)
def test_a_bad_table_is_refused_with_place_and_remedy(tmp_path, text, message):
    with pytest.raises(RunError) as caught:
        read_export(written(tmp_path, text))
    assert str(caught.value).startswith(message)
    assert "; export the table again" in str(caught.value)


def test_a_summary_is_no_particle_table(tmp_path):
    assert read_heading(written(tmp_path, "List File,run.lst\nStart Time,2020-11-13  10:00:00\n")) is None


def test_a_short_row_is_refused_and_a_cut_file_noticed(tmp_path):
    table = read_export(written(tmp_path, "Particle ID,Length\n1\n2,3.5\n3"))
    assert [(r.row, r.reason) for r in table.rejects] == [
        (2, "1 values where 2 are expected"),
        (4, "1 values where 2 are expected"),
    ]
    assert table.is_cut_off
    assert table.rows_in == 3
