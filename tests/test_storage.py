"""Files are replaced whole or not at all, and bad output paths are found without writing."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from made.errors import MadeError, OutputError
from made.storage import check_writable, replacing, write_bytes


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_writes_a_new_file_and_nothing_else(tmp_path: Path) -> None:
    write_bytes(tmp_path / "out.made", b"new")
    assert (tmp_path / "out.made").read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.made"]


def test_replaces_the_whole_content(tmp_path: Path) -> None:
    place = tmp_path / "out.made"
    place.write_bytes(b"an older and longer content")
    write_bytes(place, b"new")
    assert place.read_bytes() == b"new"


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file(tmp_path: Path, failure: type[BaseException]) -> None:
    place = tmp_path / "out.made"
    place.write_bytes(b"old")

    def stop_half_way() -> None:
        with replacing(place) as temporary:
            temporary.write_bytes(b"half of the n")
            raise failure

    with pytest.raises(failure):
        stop_half_way()
    assert place.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.made"]


def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    place = tmp_path / "out.made"
    expected = r"Cannot write .*out\.made: No space left on device\."
    with pytest.raises(OutputError, match=expected), replacing(place):
        raise OSError(28, "No space left on device")
    assert not os.listdir(tmp_path)


def test_the_temporary_file_ends_as_asked(tmp_path: Path) -> None:
    with replacing(tmp_path / "scores", ".parquet") as temporary:
        assert temporary.name.endswith(".parquet")
        # On the same file system, so that the renaming cannot fail half-way.
        assert temporary.parent == tmp_path


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_respects_the_umask(tmp_path: Path, mask: int, expected: int) -> None:
    with umask(mask):
        write_bytes(tmp_path / "out.made", b"new")
    assert mode(tmp_path / "out.made") == expected


def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    place = tmp_path / "out.made"
    place.write_bytes(b"old")
    place.chmod(0o640)
    write_bytes(place, b"new")
    assert mode(place) == 0o640


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target.made", tmp_path / "link.made"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_link_to_a_missing_file_creates_that_file(tmp_path: Path) -> None:
    target, link = tmp_path / "target.made", tmp_path / "link.made"
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_bytes("~/out.made", b"new")
    assert (tmp_path / "out.made").read_bytes() == b"new"


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "out.made") == (tmp_path / "out.made").resolve()
    assert not os.listdir(tmp_path)


def test_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"it is a folder\. Give the name of a file\."):
        check_writable(tmp_path)


def test_refuses_a_missing_folder_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist\. Create it"):
        check_writable(tmp_path / "nowhere" / "out.made")


def test_refuses_a_device_or_a_pipe(tmp_path: Path) -> None:
    # Renaming over /dev/null would replace the device by a file.
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match=r"a device or a pipe\. Give a regular file\."):
        check_writable(tmp_path / "pipe")
    with pytest.raises(OutputError, match="a device or a pipe"):
        check_writable("/dev/null")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_refuses_a_file_that_may_not_be_written(tmp_path: Path) -> None:
    place = tmp_path / "out.made"
    place.touch(0o444)
    with pytest.raises(OutputError, match=r"the file is read-only\. Choose another name\."):
        check_writable(place)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_refuses_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="Permission denied"):
        check_writable(tmp_path / "out.made")
    tmp_path.chmod(0o755)


def test_refuses_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    # Permissions do not tell of such a disk: only trying does.
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(OutputError, match=r"Cannot write .*out\.made: Read-only file system"):
        check_writable(tmp_path / "out.made")


def test_an_output_error_is_an_os_error_too() -> None:
    assert issubclass(OutputError, OSError)
    assert issubclass(OutputError, MadeError)
