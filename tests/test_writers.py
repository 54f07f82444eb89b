"""Writing tables: every format reads back, and a failure leaves the old file."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from made.errors import OutputError
from made.table import (
    as_table,
    check_output,
    named_columns,
    read_table,
    values_of,
    write_chunks,
    write_columns,
)
from tables import listed, schema_of

NAMES = ["a", "b", "c"]
ROWS = np.random.default_rng(0).integers(0, 2, size=(200, 3)).astype(np.uint8)
ENDINGS = [".csv", ".csv.gz", ".parquet", ".npy"]
DAY = datetime.date(2021, 1, 1)
MIXED = pa.table(
    {
        "text": ["a", 'say "no", twice', None, " blank\nline "],
        "code": ["007", "010", "007", None],
        "count": [1, None, 3, 4],
        "price": [0.1, 1e-300, -1 / 3, None],
        "flag": [True, None, False, True],
        "day": [datetime.date(2020, 2, 29), None, datetime.date(1969, 1, 1), DAY],
        "time": pa.array([0, 1_600_000_000_000_000, None, 5], pa.timestamp("us")),
        "zoned": pa.array([0, 10**9, None, 5], pa.timestamp("ms", "UTC")),
        "category": pa.array(["z", "a", None, "z"]).dictionary_encode(),
        "money": pa.array([Decimal("1.10"), None, Decimal("2.25"), Decimal("3.00")]),
    }
)


def columns_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: rows[:, d] for d, name in enumerate(NAMES)}


def read_back(place: Path) -> tuple[list[str] | None, np.ndarray]:
    table = read_table(place)
    # Rows of both values, whatever they are written as.
    schema = schema_of(ROWS) if table.names is None else schema_of(pa.table(columns_of(ROWS)))
    return table.names, values_of(table, schema)


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


def chunks_of(values: np.ndarray, schema: Any) -> Iterator[dict[str, Any]]:
    """Return a chunk a row, the first without a missing cell and the last with nothing else."""
    for row in values:
        yield named_columns(row[None], schema)


@pytest.mark.parametrize("ending", ENDINGS[:3])
def test_mixed_tables_are_read_back(tmp_path: Path, ending: str) -> None:
    schema = schema_of(MIXED)
    values = values_of(as_table(MIXED), schema)
    place = tmp_path / f"rows{ending}"
    write_chunks(place, chunks_of(values, schema), len(values))
    again = read_table(place)
    assert np.array_equal(values_of(again, schema), values, equal_nan=True)
    if ending == ".parquet":
        assert [again.dtype(d) for d in range(10)] == [str(kind) for kind in MIXED.schema.types]


@pytest.mark.parametrize("ending", ENDINGS[:3])
def test_what_came_from_a_file_is_read_back(tmp_path: Path, ending: str) -> None:
    source = tmp_path / "source.csv"
    source.write_text("n,t,d,f\n1,x,3/4/2020,True\n,,,\n22,y,12/31/1999,False\n7,None,1/1/2000,\n")
    schema = schema_of(read_table(source))
    values = values_of(read_table(source), schema)
    place = tmp_path / f"rows{ending}"
    write_chunks(place, chunks_of(values, schema), len(values))
    again = read_table(place)
    assert listed(again, 2) == ["3/4/2020", None, "12/31/1999", "1/1/2000"]
    assert np.array_equal(values_of(again, schema), values, equal_nan=True)
    if ending == ".csv":
        assert place.read_text().splitlines()[1] == '1,"x","3/4/2020","True"'


@pytest.mark.parametrize("cells", [[1, None, 3], ["a", None, "b"], [0.5, None, None]])
def test_missing_cells_of_a_single_column_keep_their_rows(tmp_path: Path, cells: list[Any]) -> None:
    write_columns(tmp_path / "a.csv", {"a": pa.array(cells)})
    table = read_table(tmp_path / "a.csv")
    assert table.cells(0).missing.tolist() == [cell is None for cell in cells]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_texts_stand_beside_numbers(tmp_path: Path, ending: str) -> None:
    place = tmp_path / f"scores{ending}"
    ids = np.array(["r1", 'r"2', "r,3"], dtype=object)
    scores = np.array([-1.5, -0.1, -1 / 3])
    write_columns(place, {"id": ids, "log_prob": scores})
    table = read_table(place)
    assert table.names == ["id", "log_prob"]
    assert listed(table, 0) == ids.tolist()
    # Every digit is written.
    assert [float(cell) for cell in listed(table, 1)] == scores.tolist()


def test_a_single_column_is_a_vector(tmp_path: Path) -> None:
    write_columns(tmp_path / "scores.npy", {"log_prob": np.array([-1.5, -2.5])})
    assert np.load(tmp_path / "scores.npy").tolist() == [-1.5, -2.5]


def test_what_an_array_cannot_hold_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "scores.npy"
    place.write_bytes(b"old")
    for cells in (np.array(["r1"], dtype=object), pa.array(["r1"]), np.array(["2020"], "M8[D]")):
        with pytest.raises(OutputError, match=r"holds numbers alone\. Write \.csv or \.parquet"):
            write_columns(place, {"id": cells, "log_prob": np.array([-1.0])})
    assert place.read_bytes() == b"old"


def test_missing_numbers_in_an_array_are_nan(tmp_path: Path) -> None:
    chunks = iter(
        [
            {"a": pa.array([1, 2]), "b": pa.array([3, 4])},
            {"a": pa.array([None, 4], pa.int64()), "b": pa.array([None, None], pa.int64())},
        ]
    )
    write_chunks(tmp_path / "a.npy", chunks, 4)
    expected = [[1, 3], [2, 4], [np.nan, np.nan], [4, np.nan]]
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected, equal_nan=True)


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
