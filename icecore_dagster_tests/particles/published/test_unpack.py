"""Archives that strangers have packed: nothing outside of the folder, nothing overwritten, tables last."""

import io
import shutil
import stat
import tarfile
import zipfile

import pytest

from icecore_dagster.particles.published.record import FetchError
from icecore_dagster.particles.published.unpack import unpack

MEMBERS = {"datasets/dust.csv": b"imgpaths\n", "datasets/dust/a_1.png": b"png", "datasets/dust/a_2.png": b"another"}


def zipped(path, members=MEMBERS, **attributes):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.writestr(info, content)
    return path


def tarred(path, members=MEMBERS, **attributes):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return path


PACK = pytest.mark.parametrize(("pack", "name"), [(zipped, "a.zip"), (tarred, "a.tar.gz")])


@PACK
def test_everything_is_unpacked_and_unpacking_again_changes_nothing(tmp_path, pack, name):
    archive, folder = pack(tmp_path / name), tmp_path / "data"
    for _ in range(2):
        assert unpack(archive, folder) == 3
        found = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        assert found == MEMBERS


@PACK
@pytest.mark.parametrize("evil", ["../evil.csv", "/evil.csv", "datasets/../../evil.csv", "..\\evil.csv", "C:evil.csv"])
def test_a_member_that_leads_out_is_refused_before_anything_is_written(tmp_path, pack, name, evil):
    archive = pack(tmp_path / name, {**MEMBERS, evil: b"x"})
    with pytest.raises(FetchError, match="nothing was unpacked"):
        unpack(archive, tmp_path / "inner" / "data")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_links_are_refused(tmp_path):
    linked = tarred(tmp_path / "a.tgz", {"link": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd")
    with pytest.raises(FetchError, match="no plain file"):
        unpack(linked, tmp_path / "data")
    linked = zipped(tmp_path / "a.zip", {"link": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(FetchError, match="no plain file"):
        unpack(linked, tmp_path / "data")
    assert not (tmp_path / "data").exists()


@PACK
def test_an_archive_that_claims_to_be_a_thousand_times_larger_is_refused(tmp_path, pack, name):
    archive = pack(tmp_path / name, {"bomb.csv": bytes(60_000_000)})
    assert archive.stat().st_size < 100_000
    with pytest.raises(FetchError, match=r"claims to unpack to 60,000,000 bytes"):
        unpack(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(tmp_path, monkeypatch):
    archive, real = zipped(tmp_path / "a.zip"), shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=5))
    with pytest.raises(FetchError, match="make room"):
        unpack(archive, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_another_file_in_the_way_is_left_alone(tmp_path):
    archive, mine = zipped(tmp_path / "a.zip"), tmp_path / "data" / "datasets" / "dust.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("my own table")
    with pytest.raises(FetchError, match="stands there already"):
        unpack(archive, tmp_path / "data")
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == [mine]
    assert mine.read_text() == "my own table"


@PACK
def test_a_table_is_there_only_after_all_of_its_images(tmp_path, pack, name):
    archive, folder, seen = pack(tmp_path / name), tmp_path / "data", []

    def interrupt(_: int) -> None:
        seen.append({p.name for p in folder.rglob("*") if p.is_file()})
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, folder, told=interrupt)
    assert seen[-1] == {"a_1.png", "a_2.png"}
    unpack(archive, folder)
    assert (folder / "datasets" / "dust.csv").read_bytes() == MEMBERS["datasets/dust.csv"]


@PACK
def test_a_damaged_archive_is_said(tmp_path, pack, name):
    archive = pack(tmp_path / name)
    archive.write_bytes(archive.read_bytes()[:-30])
    with pytest.raises(FetchError, match="fetch it again"):
        unpack(archive, tmp_path / "data")


def test_an_archive_with_a_damaged_file_leaves_no_half_file(tmp_path):
    archive = zipped(tmp_path / "a.zip", {"a.png": b"0123456789" * 100}, compress_type=zipfile.ZIP_STORED)
    damaged = bytearray(archive.read_bytes())
    damaged[200] ^= 0xFF
    archive.write_bytes(bytes(damaged))
    with pytest.raises(FetchError, match="CRC"):
        unpack(archive, tmp_path / "data")
    assert [path for path in (tmp_path / "data").rglob("*") if path.is_file()] == []
