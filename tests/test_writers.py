"""Writing tables: every format reads back, and a failure leaves the old file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from made.errors import OutputError
from made.table import check_output, read_table, write_chunks, write_columns

NAMES = ["a", "b", "c"]
ROWS = np.random.default_rng(0).integers(0, 2, size=(200, 3)).astype(np.uint8)
ENDINGS = [".csv", ".csv.gz", ".parquet", ".npy"]


def columns_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: rows[:, d] for d, name in enumerate(NAMES)}


def read_back(place: Path) -> tuple[list[str] | None, np.ndarray]:
    table = read_table(place)
    return table.names, np.column_stack([table.cells(d) for d in range(table.n_columns)])


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.float64])
@pytest.mark.parametrize("ending", ENDINGS)
def test_chunks_are_read_back_whole(tmp_path: Path, ending: str, dtype: type) -> None:
    place = tmp_path / f"rows{ending}"
    rows = ROWS.astype(dtype)
    write_chunks(place, (columns_of(rows[first : first + 60]) for first in range(0, 200, 60)), 200)
    names, values = read_back(place)
    assert names == (None if ending == ".npy" else NAMES)
    assert np.array_equal(values, rows)
    assert os.listdir(tmp_path) == [place.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_rows_keep_their_columns(tmp_path: Path, ending: str) -> None:
    place = tmp_path / f"rows{ending}"
    write_columns(place, columns_of(ROWS[:0]))
    names, values = read_back(place)
    assert names == (None if ending == ".npy" else NAMES)
    assert values.shape == (0, 3)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_texts_stand_beside_numbers(tmp_path: Path, ending: str) -> None:
    place = tmp_path / f"scores{ending}"
    ids = np.array(["r1", 'r"2', "r,3"], dtype=object)
    scores = np.array([-1.5, -0.1, -1 / 3])
    write_columns(place, {"id": ids, "log_prob": scores})
    table = read_table(place)
    assert table.names == ["id", "log_prob"]
    assert table.cells(0).tolist() == ids.tolist()
    # Every digit is written.
    assert table.cells(1).tolist() == scores.tolist()


def test_a_single_column_is_a_vector(tmp_path: Path) -> None:
    write_columns(tmp_path / "scores.npy", {"log_prob": np.array([-1.5, -2.5])})
    assert np.load(tmp_path / "scores.npy").tolist() == [-1.5, -2.5]


def test_text_into_an_array_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "scores.npy"
    place.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"cannot hold text\. Write \.csv or \.parquet instead"):
        write_columns(place, {"id": np.array(["r1"], dtype=object), "log_prob": np.array([-1.0])})
    assert place.read_bytes() == b"old"


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_that_stop_coming_leave_the_old_file(tmp_path: Path, ending: str) -> None:
    def chunks() -> Iterator[dict[str, np.ndarray]]:
        yield columns_of(ROWS)
        raise RuntimeError("the second chunk fails")

    place = tmp_path / f"rows{ending}"
    place.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="second chunk"):
        write_chunks(place, chunks(), 400)
    assert place.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [place.name]


@pytest.mark.parametrize("name", ["rows.txt", "rows", "rows.npz", "rows.xlsx"])
def test_unknown_formats(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"what format .* should have\. Known endings: \.csv"):
        check_output(tmp_path / name)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_place_is_checked_with_the_format(tmp_path: Path, ending: str) -> None:
    assert check_output(tmp_path / f"ROWS{ending.upper()}") == ending
    with pytest.raises(OutputError, match=r"the folder .*nowhere does not exist"):
        check_output(tmp_path / "nowhere" / f"rows{ending}")
    (tmp_path / f"folder{ending}").mkdir()
    with pytest.raises(OutputError, match="it is a folder"):
        check_output(tmp_path / f"folder{ending}")
