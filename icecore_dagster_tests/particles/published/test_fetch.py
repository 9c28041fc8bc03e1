"""Fetching the published data from a server that breaks off, cannot go on, or lies."""

import io
import random
import subprocess
import sys
import zipfile

import pytest

from icecore_dagster.particles.laboratory import Laboratory
from icecore_dagster.particles.published import download as downloading
from icecore_dagster.particles.published.download import ATTEMPTS, download, partial_path
from icecore_dagster.particles.published.fetch import fetch_published
from icecore_dagster.particles.published.record import FetchError, files_of, list_files, record_url

from .server import Zenodo, serving

CONTENT = random.Random(0).randbytes(100_000)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(downloading, "_WAIT_S", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def zenodo():
    with serving(Zenodo({"train.csv": CONTENT})) as server:
        yield server


@pytest.fixture
def lab(tmp_path) -> Laboratory:
    return Laboratory.at(tmp_path / "data")


def the_file(zenodo):
    (file,) = list_files(source=zenodo.url)
    return file


def zip_of(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize("form", ["legacy", "deposit", "entries", "list of entries"])
def test_every_form_of_a_record_gives_the_same_files(zenodo, form):
    usual = the_file(zenodo)
    zenodo.form = form
    assert the_file(zenodo) == usual
    assert usual.url == f"{zenodo.url}/api/records/7591282/files/train.csv/content"


@pytest.mark.parametrize("name", ["../train.csv", "a/train.csv", "C:\\train.csv", ".hidden", ""])
def test_a_name_that_is_no_plain_file_name_is_refused(name):
    entry = {"key": name, "size": 1, "checksum": "md5:" + "0" * 32}
    with pytest.raises(FetchError, match="no plain file name"):
        files_of({"files": [entry]}, "http://x/api/records/1")


def test_a_record_without_checksum_is_refused():
    with pytest.raises(FetchError, match=r"no size or checksum of a\.csv"):
        files_of({"files": [{"key": "a.csv", "size": 3}]}, "http://x/api/records/1")


def test_only_a_doi_and_a_web_address_are_taken():
    assert record_url("https://doi.org/10.5281/zenodo.7591282").endswith("/api/records/7591282")
    with pytest.raises(FetchError, match="no Zenodo DOI"):
        record_url("10.5194/tc-17-539-2023")
    with pytest.raises(FetchError, match="no web address"):
        record_url("10.5281/zenodo.7591282", "file:///etc")


def test_a_connection_that_breaks_in_mid_file_is_taken_up_where_it_broke(zenodo, tmp_path):
    zenodo.breaks_after = [40_000, 25_000]
    told = []
    assert download(the_file(zenodo), tmp_path, told.append).read_bytes() == CONTENT
    assert zenodo.ranges_asked("train.csv") == [None, "bytes=40000-", "bytes=65000-"]
    assert sum(told) == len(CONTENT)
    assert [path.name for path in tmp_path.iterdir()] == ["train.csv"]


def test_what_was_downloaded_before_a_failure_is_kept_and_not_taken_for_complete(zenodo, tmp_path):
    file = the_file(zenodo)
    zenodo.breaks_after = [40_000] + [0] * ATTEMPTS
    with pytest.raises(FetchError, match=r"broke after 40,000 of 100,000 bytes .* goes on where it stopped"):
        download(file, tmp_path)
    assert partial_path(file, tmp_path).stat().st_size == 40_000
    assert not (tmp_path / "train.csv").exists()
    zenodo.asked.clear()
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert zenodo.ranges_asked("train.csv") == ["bytes=40000-"]
    assert not partial_path(file, tmp_path).exists()


def test_a_complete_file_is_not_asked_for_again(zenodo, tmp_path):
    file = the_file(zenodo)
    download(file, tmp_path)
    zenodo.asked.clear()
    download(file, tmp_path)
    assert zenodo.asked == []


def test_a_file_with_another_checksum_is_refused_and_thrown_away(zenodo, tmp_path):
    zenodo.checksums["train.csv"] = "0" * 32
    with pytest.raises(FetchError, match=r"does not have the checksum md5:0{32} of the record"):
        download(the_file(zenodo), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_beginning_is_noticed_by_the_checksum(zenodo, tmp_path):
    file = the_file(zenodo)
    partial_path(file, tmp_path).write_bytes(b"x" * 1_000)
    with pytest.raises(FetchError, match="checksum"):
        download(file, tmp_path)
    assert download(file, tmp_path).read_bytes() == CONTENT


def test_a_server_that_cannot_go_on_is_asked_for_everything_again(zenodo, tmp_path):
    zenodo.has_ranges, zenodo.breaks_after = False, [40_000]
    told = []
    assert download(the_file(zenodo), tmp_path, told.append).read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)


def test_a_server_that_sends_more_than_the_record_states_is_stopped(zenodo, tmp_path):
    file = the_file(zenodo)
    zenodo.files["train.csv"] = CONTENT * 2
    with pytest.raises(FetchError, match="sends more than the 100,000 bytes"):
        download(file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_said(tmp_path):
    with serving(Zenodo({})) as gone:
        pass
    with pytest.raises(FetchError, match="cannot be reached"):
        list_files(source=gone.url)


def test_archives_are_unpacked_into_datasets_and_fetched_only_once(zenodo, lab):
    zenodo.files = {
        "labelled.zip": zip_of(
            {"icelearning/datasets/dust.csv": b"imgpaths\n", "icelearning/datasets/dust/a_1.png": b"png"}
        ),
        "camp.csv": b"imgpaths\n",
        "grip.zip": zip_of({"test/GRIP_raw/GRIP_3046_raw.csv": b"imgpaths\n"}),
    }
    fetched = fetch_published(lab, source=zenodo.url, progress=False)
    found = {p.relative_to(lab.data).as_posix() for p in lab.data.rglob("*") if p.is_file() and p.name[0] != "."}
    tables = {"datasets/dust.csv", "datasets/camp.csv", "datasets/test/GRIP_raw/GRIP_3046_raw.csv"}
    assert found == {*tables, "datasets/dust/a_1.png"}
    assert [table.name for table in fetched.tables] == ["dust.csv", "camp.csv"]
    zenodo.asked.clear()
    assert fetch_published(lab, source=zenodo.url, progress=False).unpacked == 0
    assert [path for path, _ in zenodo.asked] == ["/api/records/7591282"]


def test_only_the_wanted_files_are_fetched_and_a_wrong_pattern_names_what_there_is(zenodo, lab):
    zenodo.files = {"a.csv": b"1", "b.csv": b"2"}
    assert fetch_published(lab, source=zenodo.url, only=["b*"], progress=False).files == ("b.csv",)
    assert not (lab.published / "a.csv").exists()
    with pytest.raises(FetchError, match=r"there are a\.csv, b\.csv"):
        fetch_published(lab, source=zenodo.url, only=["*.zip"], progress=False)


def test_a_disk_that_is_too_small_is_said_before_anything_is_downloaded(zenodo, lab, monkeypatch):
    import shutil

    real = shutil.disk_usage(lab.data.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=99_999))
    with pytest.raises(FetchError, match=r"needs 0\.00 GB .* make room"):
        fetch_published(lab, source=zenodo.url, progress=False)
    assert zenodo.ranges_asked("train.csv") == []


@pytest.mark.parametrize("mine", [b"mine", bytes(len(CONTENT))])
def test_the_users_own_file_is_not_overwritten(zenodo, lab, mine):
    lab.published.mkdir(parents=True)
    (lab.published / "train.csv").write_bytes(mine)
    with pytest.raises(FetchError, match="stands there already"):
        fetch_published(lab, source=zenodo.url, progress=False)
    assert (lab.published / "train.csv").read_bytes() == mine


def test_the_command_lists_and_fetches(zenodo, lab):
    command = [sys.executable, "-m", "icecore_dagster.cli", "fetch", "--from", zenodo.url, "--data", str(lab.data)]
    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, timeout=60, check=True)
    assert "train.csv" in listed.stdout
    assert zenodo.ranges_asked("train.csv") == []
    subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert (lab.published / "train.csv").read_bytes() == CONTENT
    zenodo.files, zenodo.checksums = {"camp.csv": b"other"}, {"camp.csv": "0" * 32}
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 1
    assert "checksum" in refused.stderr
    assert "Traceback" not in refused.stderr
