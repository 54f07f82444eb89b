"""Reading tables: every format, its splits, and every kind of damage; CSV has its own tests."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from made.errors import DataError
from made.fitting import RowSource
from made.table import Table, as_table, npz_splits, read_table
from made.table import values_of as values_by_schema
from tables import listed, schema_of

ROWS = np.random.default_rng(0).integers(0, 2, size=(200, 3)).astype(np.uint8)
NAMES = ["a", "b", "c"]
CSV = "a,b,c\n" + "".join(f"{a},{b},{c}\n" for a, b, c in ROWS)


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, ROWS)
    return file.getvalue()


def _npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, rows=ROWS)
    return file.getvalue()


def _parquet() -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(list(ROWS.T), names=NAMES), file)
    return file.getvalue()


CONTENTS: dict[str, Callable[[], bytes]] = {
    "rows.csv": lambda: CSV.encode(),
    "rows.csv.gz": lambda: gzip.compress(CSV.encode()),
    "rows.parquet": _parquet,
    "rows.npy": _npy,
    "rows.npz": _npz,
}


def values_of(table: Table) -> np.ndarray:
    return values_by_schema(table, schema_of(table))


def read_text(folder: Path, text: str | bytes, **options: Any) -> Table:
    place = folder / "rows.csv"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(place, **options)


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_is_read(tmp_path: Path, name: str, as_text: bool) -> None:
    place = tmp_path / name
    place.write_bytes(CONTENTS[name]())
    table = read_table(str(place) if as_text else place)
    assert np.array_equal(values_of(table), ROWS)
    assert values_of(table).dtype == np.uint8
    assert table.names == (None if name.startswith("rows.np") else NAMES)


@pytest.mark.parametrize("name", CONTENTS)
def test_the_case_of_an_ending_does_not_matter(tmp_path: Path, name: str) -> None:
    place = tmp_path / name.upper()
    place.write_bytes(CONTENTS[name]())
    assert np.array_equal(values_of(read_table(place)), ROWS)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("name", [name for name in CONTENTS if name != "rows.csv"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, share: float) -> None:
    content = CONTENTS[name]()
    place = tmp_path / name
    place.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DataError, match=rf"{name}.*(Is it damaged\?|is empty)"):
        read_table(place)


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.npz", "rows.parquet"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    content = bytearray(CONTENTS[name]())
    middle = len(content) // 2
    content[middle - 20 : middle + 20] = b"\xff" * 40
    place = tmp_path / name
    place.write_bytes(content)
    with pytest.raises(DataError, match=rf"Cannot read .*{name}: .*Is it damaged\?"):
        read_table(place)


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.npz", "rows.parquet", "rows.npy"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.write_bytes(b"this is not it\n" * 20)
    with pytest.raises(DataError, match=rf"{name}.*Is it damaged"):
        read_table(place)


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    objects = np.array([[{}]], dtype=object)
    np.save(tmp_path / "objects.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "objects.npz", rows=objects)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps([[0, 1]]))
    for name in ("objects.npy", "objects.npz"):
        with pytest.raises(DataError, match="it holds Python objects"):
            read_table(tmp_path / name)
    with pytest.raises(DataError, match=r"is no \.npy file: it does not start like one"):
        read_table(tmp_path / "pickle.npy")


def test_an_array_that_claims_more_than_memory_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**14, 4)}
    np.lib.format.write_array_header_1_0(file, header)
    (tmp_path / "huge.npy").write_bytes(file.getvalue() + b"\0" * 100)
    with pytest.raises(DataError, match=r"Cannot read .*huge\.npy: Unable to allocate"):
        read_table(tmp_path / "huge.npy")


def test_paths_that_are_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no file .*nowhere\.csv\."):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"is a folder\. Give a file: \.csv, "):
        read_table(tmp_path)
    (tmp_path / "rows.txt").write_text(CSV)
    with pytest.raises(DataError, match=r"what kind of file .*rows\.txt is\. Known endings: \.csv"):
        read_table(tmp_path / "rows.txt")


def test_the_splits_of_an_archive(tmp_path: Path) -> None:
    place = tmp_path / "rows.npz"
    np.savez(place, train=ROWS[:100], valid=ROWS[100:150], test=ROWS[150:])
    assert npz_splits(place) == ["train", "valid", "test"]
    assert np.array_equal(values_of(read_table(place, split="test")), ROWS[150:])
    with pytest.raises(DataError, match=r"holds the arrays train, valid, test\. Pick one with --s"):
        read_table(place)
    with pytest.raises(DataError, match=r"has no array 'dev'\. It holds train, valid, test\."):
        read_table(place, split="dev")
    splits = RowSource(place).read()
    assert np.array_equal(splits.train, ROWS[:100])
    assert np.array_equal(splits.valid, ROWS[100:150])
    # Another split is divided by the seed, and validation rows of one's own replace the found.
    assert len(RowSource(place, split="test").read().valid) == 5
    assert np.array_equal(RowSource(place, ROWS[:7]).read().valid, ROWS[:7])


def test_archives_that_hold_no_table(tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz")
    with pytest.raises(DataError, match=r"none\.npz holds no arrays"):
        read_table(tmp_path / "none.npz")
    with zipfile.ZipFile(tmp_path / "foreign.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(DataError, match=r"'readme\.txt' of .*foreign\.npz is not an array"):
        read_table(tmp_path / "foreign.npz")


def test_a_split_of_what_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"an array of an \.npz file; .*rows\.csv is a \.csv file"):
        read_text(tmp_path, CSV, split="test")
    with pytest.raises(DataError, match="the data is no file"):
        read_table(ROWS, split="test")


def test_bad_parquet_files(tmp_path: Path) -> None:
    place = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pa.table([[1], [0]], names=["a", "a"]), place)
    with pytest.raises(DataError, match="'a' occurs twice"):
        read_table(place)
    place.write_bytes(b"")
    with pytest.raises(DataError, match=r"Cannot read .*rows\.parquet"):
        read_table(place)


def test_parquet_keeps_types_and_leaves_the_index_of_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"a": pd.Categorical(["x", None, "y"]), "b": [1, 2, 3]}, index=pd.Index(["r", "s", "t"])
    )
    frame.to_parquet(tmp_path / "rows.parquet")
    table = read_table(tmp_path / "rows.parquet", na=["y"])
    assert table.names == ["a", "b"]
    assert table.container == "pyarrow"
    assert table.dtype(0).startswith("dictionary")
    assert listed(table, 0) == ["x", None, None]


def test_texts_that_mean_missing_may_be_one(tmp_path: Path) -> None:
    table = read_text(tmp_path, "a,b\n1,N/A\n2,x\n", na="N/A")
    assert table.na == ("N/A",)
    assert listed(table, 1) == [None, "x"]
    assert table.with_na(["N/A"]) is table
    assert as_table(table) is table
