"""Writes are whole or not there, locally and at a remote URL."""

import os
import signal
import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from icecore_dagster.particles.tables.schemas import SEGMENT_REJECTS, SchemaError
from icecore_dagster.particles.tables.store import (
    Store,
    atomic_file,
    count_rows,
    find_rows,
    first_rows,
    read_note,
    read_table,
    stream_table,
    write_table,
)


def rejects(rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": "GRIP_3046_0_20_1",
            "particle_number": range(rows),
            "file": "run.lst",
            "row": range(rows),
            "reason": "crop outside",
            "remedy": "none",
        }
    )


def test_a_table_comes_back_with_its_types_and_note(tmp_path):
    target = Store.at(tmp_path).table("segment_rejects", "GRIP_3046", "0_20")
    write_table(target, rejects(3), SEGMENT_REJECTS, {"fingerprint": "abc"})
    back = read_table(target)
    assert back["particle_number"].tolist() == [0, 1, 2]
    assert read_note(target) == {"fingerprint": "abc"}
    assert count_rows(target) == 3


def test_an_empty_table_keeps_its_columns(tmp_path):
    target = Store.at(tmp_path).table("segment_rejects")
    write_table(target, rejects(0), SEGMENT_REJECTS)
    assert list(read_table(target)) == [c.name for c in SEGMENT_REJECTS.columns]


def test_a_table_is_read_in_blocks(tmp_path):
    target = Store.at(tmp_path).table("segment_rejects")
    write_table(target, rejects(10), SEGMENT_REJECTS)
    assert [len(block) for block in stream_table(target, rows=4)] == [4, 4, 2]


def test_a_stream_does_not_keep_what_it_has_read(tmp_path):
    groups, bytes_a_group = 40, 500_000
    rng, target = np.random.default_rng(0), tmp_path / "large.parquet"
    with pq.ParquetWriter(target, pa.schema([("pixels", pa.binary())])) as writer:
        for _ in range(groups):
            writer.write_table(pa.table({"pixels": [rng.bytes(bytes_a_group)]}))
    tracemalloc.start()
    try:
        assert sum(len(block) for block in stream_table(target, rows=1)) == groups
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < groups * bytes_a_group / 4


def test_the_first_rows_are_those_of_the_table_and_an_empty_one_has_its_columns(tmp_path):
    target = Store.at(tmp_path).table("segment_rejects")
    write_table(target, rejects(10), SEGMENT_REJECTS)
    assert first_rows(target, 3)["row"].tolist() == [0, 1, 2]
    assert len(first_rows(target, 99)) == 10
    write_table(target, rejects(0), SEGMENT_REJECTS)
    assert list(first_rows(target, 3)) == [c.name for c in SEGMENT_REJECTS.columns]


def test_rows_are_found_in_every_row_group_that_holds_them(tmp_path, monkeypatch):
    monkeypatch.setattr("icecore_dagster.particles.tables.store.ROW_GROUP", 4)
    target = Store.at(tmp_path).table("segment_rejects")
    write_table(target, rejects(10), SEGMENT_REJECTS)
    found = find_rows(target, "particle_number", {1, 9, 77}, ["row", "reason"])
    assert found["row"].tolist() == [1, 9]
    assert list(found) == ["row", "reason"]
    assert find_rows(target, "particle_number", {77}, ["row"]).empty


def test_a_missing_column_is_refused_and_the_old_table_stays(tmp_path):
    target = Store.at(tmp_path).table("segment_rejects")
    write_table(target, rejects(2), SEGMENT_REJECTS)
    with pytest.raises(SchemaError, match="column remedy is missing"):
        write_table(target, rejects(5).drop(columns="remedy"), SEGMENT_REJECTS)
    assert count_rows(target) == 2
    assert [p.name for p in target.parent.iterdir()] == ["segment_rejects.parquet"]


def test_an_undeclared_column_is_refused(tmp_path):
    with pytest.raises(SchemaError, match="not declared"):
        write_table(Store.at(tmp_path).table("t"), rejects(1).assign(colour="red"), SEGMENT_REJECTS)


def test_a_remote_root_needs_no_other_code():
    store = Store.at("memory://laboratory/results")
    target = store.table("segment_rejects", "GRIP_3046", "0_20")
    write_table(target, rejects(3), SEGMENT_REJECTS)
    assert count_rows(target) == 3
    assert [str(p) for p in store.tables("segment_rejects")] == [str(target)]


KILLED_WRITER = """
    import sys, time
    from icecore_dagster.particles.tables.store import atomic_file
    from pathlib import Path
    with atomic_file(Path(sys.argv[1])) as part:
        part.write_text("half")
        print("writing", flush=True)
        time.sleep(60)
"""


def test_a_killed_writer_leaves_the_old_file_and_its_remains_are_swept(tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    code = textwrap.dedent(KILLED_WRITER)
    writer = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout.readline().strip() == "writing"
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["report.html"]
    with atomic_file(target) as part:
        part.write_text("new")
    assert target.read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html"]


def test_two_writers_at_once_do_not_disturb_each_other(tmp_path):
    target = tmp_path / "table"
    with atomic_file(target) as first:
        first.write_text("first")
        with atomic_file(target) as second:
            second.write_text("second")
        assert target.read_text() == "second"
    assert target.read_text() == "first"


def test_relative_and_absolute_roots_are_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Store.at("data").table("x") == Store.at(tmp_path / "data").table("x")
    assert isinstance(Store.at("data").root, UPath)
