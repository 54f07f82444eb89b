"""Writing files so that nothing is ever half written.

A file is written beside its destination and renamed over it, so a reader (or a crash) sees
the old content or the new, never a mixture. This module knows nothing of what it writes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from made.errors import OutputError


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return ``path`` if a file can be written there; raise `OutputError` if not.

    Long work calls this first: a mistake in the output path is found before training, not
    after it. The check creates and removes an empty file in the folder, since permissions alone
    do not tell (read-only mounts, full quotas).
    """
    target = Path(path).expanduser()
    # A link is followed, so that the file it names is replaced and not the link itself.
    target = Path(os.path.realpath(target))
    if target.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder. Give the name of a file.")
    if target.exists() and not target.is_file():
        raise OutputError(f"Cannot write {path}: it is a device or a pipe. Give a regular file.")
    if target.exists() and not os.access(target, os.W_OK):
        raise OutputError(f"Cannot write {path}: the file is read-only. Choose another name.")
    if not target.parent.is_dir():
        raise OutputError(
            f"Cannot write {path}: the folder {target.parent} does not exist. Create it first."
        )
    try:
        handle, probe = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    except OSError as error:
        raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
    os.close(handle)
    os.unlink(probe)
    return target


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], suffix: str = "") -> Iterator[Path]:
    """Yield a temporary path; on success rename it over ``path``, on any failure remove it.

    ``suffix`` ends the temporary name, for writers that choose a format by it.

    Raises
    ------
    OutputError
        If the path cannot be written.
    """
    target = check_writable(path)
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
    handle, name = tempfile.mkstemp(
        prefix=f".{target.name[:40]}.", suffix=f".part{suffix}", dir=target.parent
    )
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and not isinstance(error, OutputError):
            raise OutputError(f"Cannot write {path}: {error.strerror or error}.") from error
        raise


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write ``content`` to ``path`` in one step."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _umask() -> int:
    # The only portable way to read the mask is to set it; it is put back at once.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
