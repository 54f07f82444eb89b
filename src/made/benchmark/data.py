"""The data of a benchmark: where files may lie, how they are read, and whether they are the ones.

A split is known by the hash of its sorted rows, so that the order of the rows does not matter.
Test rows leave this module sealed. Knows files and hashes; knows nothing of models.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from made.benchmark.looking import SealedRows
from made.benchmark.suites import SPLITS, BenchmarkSet, Suite
from made.errors import DataError

_PAGE = "docs/data.md says where the set comes from and how its files are laid out"
# The names that text files of the splits have in repositories.
_ENDINGS = {
    "train": ("train.data", "ts.data"),
    "valid": ("valid.data",),
    "test": ("test.data",),
}
_ZERO, _ONE, _END = b"01\n"


@dataclass(frozen=True)
class LoadedSet:
    """Rows of 0 and 1 as published; those of the test are sealed.

    ``hashes`` are of what was read, by split.
    """

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: SealedRows
    hashes: dict[str, str]

    @property
    def rows(self) -> dict[str, int]:
        """The number of rows of each split."""
        return {"train": len(self.train), "valid": len(self.valid), "test": len(self.test)}


def contents_hash(rows: np.ndarray) -> str:
    """Return the SHA-256 of shape and sorted rows of bits, packed eight to a byte.

    Examples
    --------
    >>> rows = np.array([[0, 1, 1], [1, 0, 0]])
    >>> contents_hash(rows) == contents_hash(rows[::-1])
    True
    >>> contents_hash(rows) == contents_hash(rows[:, ::-1])
    False
    """
    packed = np.packbits(rows.astype(np.bool_), axis=1)
    digest = hashlib.sha256(f"{rows.shape[0]}x{rows.shape[1]}\n".encode())
    digest.update(b"".join(sorted(row.tobytes() for row in packed)))
    return digest.hexdigest()


def load_set(suite: Suite, wanted: BenchmarkSet, folder: Path) -> LoadedSet:
    """Read a set and check every split of it.

    Raises
    ------
    DataError
        If a file is missing, cannot be read, or holds other rows than the published ones.
    """
    arrays, paths = _read(suite, wanted.name, folder)
    hashes = {split: contents_hash(rows) for split, rows in arrays.items()}
    bordered = wanted.together is not None and hashes["train"] != wanted.splits["train"].sha256
    for split in SPLITS:
        if bordered and split != "test":
            continue
        known = wanted.splits[split]
        expected = (known.rows, wanted.columns, known.sha256)
        _check(paths[split], f"{split} rows", arrays[split], hashes[split], expected)
    if bordered and wanted.together is not None:
        both = np.concatenate([arrays["train"], arrays["valid"]])
        expected = (wanted.together.rows, wanted.columns, wanted.together.sha256)
        _check(paths["train"], "train and valid rows together", both, contents_hash(both), expected)
    return LoadedSet(
        wanted.name, arrays["train"], arrays["valid"], SealedRows(arrays["test"]), hashes
    )


def _check(
    path: Path, what: str, rows: np.ndarray, found: str, expected: tuple[int, int, str]
) -> None:
    n_rows, n_columns, known = expected
    if rows.shape != (n_rows, n_columns):
        raise DataError(
            f"{path} is not the published data: its {what} are {rows.shape[0]} x {rows.shape[1]}; "
            f"expected were {n_rows} x {n_columns}. {_PAGE}."
        )
    if found != known:
        raise DataError(
            f"{path} is not the published data: the checksum of its {what} is {found[:16]}...; "
            f"expected was {known[:16]}... (SHA-256 of the sorted rows). {_PAGE}."
        )


def _read(suite: Suite, name: str, folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Path]]:
    """Return the arrays of the three splits and the files that they came from."""
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder} of data. {_PAGE}.")
    for place in (folder / suite.folder, folder / "datasets", folder):
        packed = place / f"{name}.npz"
        if packed.is_file():
            return _read_npz(packed), dict.fromkeys(SPLITS, packed)
    texts = {split: list(_text_places(suite, name, split, folder)) for split in SPLITS}
    found = {split: _first_file(places) for split, places in texts.items()}
    paths = {split: path for split, path in found.items() if path is not None}
    if not paths:
        raise DataError(
            f"There is no data of {name} in {folder}: neither {folder / suite.folder / name}.npz "
            f"nor text files such as {texts['train'][0]}. {_PAGE}."
        )
    for split in SPLITS:
        if split not in paths:
            raise DataError(
                f"The {split} rows of {name} are missing in {folder}: there is no "
                f"{texts[split][0]}. {_PAGE}."
            )
    return {split: _read_text(path) for split, path in paths.items()}, paths


def _text_places(suite: Suite, name: str, split: str, folder: Path) -> Iterator[Path]:
    """Yield where the text file of a split may lie."""
    for above in ("datasets", suite.folder, f"{suite.folder}/datasets", "."):
        for ending in _ENDINGS[split]:
            yield folder / above / name / f"{name}.{ending}"
        yield folder / above / f"{name}_{split}.amat"


def _first_file(places: list[Path]) -> Path | None:
    return next((place for place in places if place.is_file()), None)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {}
            for split in SPLITS:
                # The files of the MADE repository call them train_data and so on.
                name = split if split in arrays.files else f"{split}_data"
                if name not in arrays.files:
                    raise DataError(f"{path} holds no array {split!r}. {_PAGE}.")
                found[split] = arrays[name]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path} cannot be read: {error}. It may be damaged; {_PAGE}.") from error
    for split, rows in found.items():
        if rows.ndim != 2 or not np.isin(rows, (0, 1)).all():
            raise DataError(f"The array {split!r} of {path} is not a table of 0 and 1. {_PAGE}.")
    return {split: np.asarray(rows, dtype=np.uint8) for split, rows in found.items()}


def _read_text(path: Path) -> np.ndarray:
    """Return rows of 0 and 1 that commas or blanks separate, a row in each line."""
    text = np.frombuffer(path.read_bytes().translate(None, b", \t\r") + b"\n", dtype=np.uint8)
    ends = np.flatnonzero(text == _END)
    widths = np.diff(ends, prepend=-1) - 1
    n_columns = int(widths[0])
    # Empty lines are no rows: files may end with some.
    full = widths > 0
    wrong = np.flatnonzero(full & (widths != n_columns))
    bits = text[text != _END]
    if len(wrong) or not n_columns or not np.isin(bits, (_ZERO, _ONE)).all():
        line = f" (first at line {wrong[0] + 1})" if len(wrong) else ""
        raise DataError(f"{path} is not a text of rows of 0 and 1, equally long{line}. {_PAGE}.")
    return (bits == _ONE).astype(np.uint8).reshape(int(full.sum()), n_columns)
