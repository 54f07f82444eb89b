"""Values go back into what they came from: library, types, categories and their order."""

from __future__ import annotations

import datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import pandas.testing
import polars as pl
import polars.testing
import pyarrow as pa
import pytest

from made.errors import DataError
from made.table import as_table, frame_of, named_columns, to_container, values_of
from made.table.conversions import UNSEEN
from tables import FRAMES, schema_of, there_and_back

DAYS = [datetime.date(2020, 1, 1), datetime.date(1969, 12, 31), datetime.date(2020, 2, 29)]
TIMES = pd.to_datetime(["2020-01-01 10:00:00", "2021-06-01 00:00:01", "1969-12-31 23:59:00"])

PANDAS: dict[str, Any] = {
    "int64": pd.Series([3, -1, 7]),
    "int8": pd.Series([3, 127, -128], dtype="int8"),
    "uint64": pd.Series([3, 1, 2**53], dtype="uint64"),
    "huge": pd.Series([10**18, 10**18 + 1, 5], dtype="int64"),
    "Int64": pd.Series([3, None, 7], dtype="Int64"),
    "UInt8 of bits": pd.Series([1, None, 0], dtype="UInt8"),
    "float64": pd.Series([0.5, np.nan, -2.25]),
    "float32": pd.Series([0.5, 0.1, np.nan], dtype="float32"),
    "whole float64": pd.Series([1.0, np.nan, 3.0]),
    "Float64": pd.Series([0.5, None, 1.5], dtype="Float64"),
    "bool": pd.Series([True, False, True]),
    "boolean": pd.Series([True, None, False], dtype="boolean"),
    "str": pd.Series(["a", None, " b"]),
    "yes": pd.Series(["yes", "no", "yes"]),
    "numbers as str": pd.Series(["1.5", "22", None]),
    "truth as str": pd.Series(["true", "false", "true"]),
    "string": pd.Series(["a", None, "None"], dtype="string"),
    "object": pd.Series(["a", None, "c"], dtype="object"),
    "object of bool": pd.Series([True, None, False], dtype="object"),
    "object of int": pd.Series([5, 2, 5], dtype="object"),
    "object of Decimal": pd.Series([Decimal("1.10"), Decimal("2.25"), None], dtype="object"),
    "object of date": pd.Series([*DAYS[:2], None], dtype="object"),
    "nothing": pd.Series([None, None, None], dtype="object"),
    "category": pd.Series(pd.Categorical(["b", None, "a"], categories=["c", "b", "a"])),
    "ordered": pd.Series(pd.Categorical(["b", "a", "a"], categories=["b", "a"], ordered=True)),
    "category of ints": pd.Series(pd.Categorical([3, 1, None], categories=[1, 2, 3])),
    "category of bools": pd.Series(pd.Categorical([True, False, True])),
    "category of nothing": pd.Series(pd.Categorical([None] * 3, categories=["a", "b"])),
    "datetime64[ns]": pd.Series(TIMES.as_unit("ns")),
    "datetime64[us]": pd.Series([TIMES[0], pd.NaT, TIMES[2]]).astype("datetime64[us]"),
    "datetime64[s]": pd.Series(TIMES.as_unit("s")),
    "zoned": pd.Series(TIMES.tz_localize("UTC").tz_convert("Europe/Berlin")),
    "zoned ns": pd.Series(TIMES.tz_localize("UTC").as_unit("ns")),
    "sparse": pd.Series(pd.arrays.SparseArray([0, 0, 5])),
    "int64[pyarrow]": pd.Series([3, None, 7], dtype="int64[pyarrow]"),
    "string[pyarrow]": pd.Series(["a", None, "b"], dtype=pd.ArrowDtype(pa.string())),
    "date32[pyarrow]": pd.Series(DAYS, dtype=pd.ArrowDtype(pa.date32())),
}
POLARS: dict[str, Any] = {
    "Int8": pl.Series([3, None, -128], dtype=pl.Int8),
    "UInt8": pl.Series([0, 7, 255], dtype=pl.UInt8),
    "UInt64": pl.Series([0, 2**64 - 1, 255], dtype=pl.UInt64),
    "Float32": pl.Series([0.5, None, 0.1], dtype=pl.Float32),
    "Float64": pl.Series([0.5, None, 0.1], dtype=pl.Float64),
    "Boolean": pl.Series([True, None, False]),
    "String": pl.Series(["a", None, "c"]),
    "numbers as String": pl.Series(["7", "11", None]),
    "Categorical": pl.Series(["b", None, "a"], dtype=pl.Categorical),
    "digits as Categorical": pl.Series(["2", "1", "2"], dtype=pl.Categorical),
    "Enum": pl.Series(["b", None, "a"], dtype=pl.Enum(["c", "b", "a"])),
    "Date": pl.Series([*DAYS[:2], None]),
    "Datetime": pl.Series(TIMES.to_pydatetime().tolist(), dtype=pl.Datetime("ms")),
    "zoned": pl.Series(TIMES.tz_localize("UTC").tz_convert("America/New_York")),
    "Decimal": pl.Series([Decimal("1.10"), None, Decimal("2.25")], dtype=pl.Decimal(10, 2)),
    "Null": pl.Series([None, None, None], dtype=pl.Null),
}
PYARROW: dict[str, Any] = {
    "int16": pa.array([3, None, -7], pa.int16()),
    "float": pa.array([0.5, None, 0.1], pa.float32()),
    "halffloat": pa.array(np.array([0.5, 1.5, 0.25], np.float16), pa.float16()),
    "double": pa.array([0.5, None, 0.1]),
    "bool": pa.array([True, None, False]),
    "bits": pa.array([0, 1, 1], pa.uint8()),
    "string": pa.array(["a", None, "c"]),
    "large_string": pa.array(["a", None, "c"], pa.large_string()),
    "string_view": pa.array(["a", None, "c"], pa.string_view()),
    "numbers as string": pa.array(["1", None, "30"]),
    "dictionary": pa.array(["b", None, "a"]).dictionary_encode(),
    "ordered": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 1], pa.int8()), pa.array(["z", "a", "unused"]), ordered=True
    ),
    "dictionary of ints": pa.DictionaryArray.from_arrays(
        pa.array([0, None, 1], pa.int32()), pa.array([30, 10, 20])
    ),
    "date32": pa.array([*DAYS[:2], None]),
    "date64": pa.array(DAYS, pa.date64()),
    "timestamp": pa.array(TIMES.to_pydatetime().tolist(), pa.timestamp("ms")),
    "zoned": pa.array(TIMES.to_pydatetime().tolist(), pa.timestamp("ns", "Europe/Berlin")),
    "decimal": pa.array([Decimal("1.10"), None, Decimal("2.25")], pa.decimal128(10, 2)),
    "wide decimal": pa.array([Decimal("1.10"), None, Decimal("2.25")], pa.decimal256(40, 2)),
    "null": pa.nulls(3),
}


@pytest.mark.parametrize("name", PANDAS)
def test_pandas_types(name: str) -> None:
    frame = pd.DataFrame({"z": [0.5, 1.5, 2.5], "a": PANDAS[name]})
    pandas.testing.assert_frame_equal(there_and_back(frame, keep=["a"]), frame)


@pytest.mark.parametrize("name", POLARS)
def test_polars_types(name: str) -> None:
    frame = pl.DataFrame({"z": [0.5, 1.5, 2.5], "a": POLARS[name]})
    polars.testing.assert_frame_equal(there_and_back(frame), frame)


@pytest.mark.parametrize("name", PYARROW)
def test_pyarrow_types(name: str) -> None:
    table = pa.table({"z": [0.5, 1.5, 2.5], "a": PYARROW[name]})
    back = there_and_back(table)
    assert back.schema == table.schema
    assert back.to_pylist() == table.to_pylist()
    if pa.types.is_dictionary(table.column("a").type):
        kept, given = (frame.column("a").chunk(0).dictionary for frame in (back, table))
        assert kept.equals(given)


def test_nan_of_polars_is_missing() -> None:
    frame = pl.DataFrame({"a": [0.5, float("nan"), None, 2.5]})
    back = there_and_back(frame)
    assert back["a"].to_list() == [0.5, None, None, 2.5]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[1, 20], [3, 4]]), np.array([[1, 20], [3, 4]])),
        (np.array([[1, 2.5], [np.nan, 4]], np.float32), np.array([[1, 2.5], [np.nan, 4]], "f4")),
        (np.array([[True, False], [False, False]]), np.array([[True, False], [False, False]])),
        (np.array([[0, 1], [1, 0]], np.int64), np.array([[0, 1], [1, 0]], np.uint8)),
        (np.array([["2020-01-05"], ["2020-03-01"]], "M8[D]"),
         np.array([["2020-01-05"], ["2020-03-01"]], "M8[us]")),
    ],
)  # fmt: skip
def test_arrays(array: np.ndarray, expected: np.ndarray) -> None:
    back = there_and_back(array)
    assert back.dtype == expected.dtype
    assert np.array_equal(back, expected, equal_nan=back.dtype.kind == "f")


def test_arrays_of_texts_and_numbers() -> None:
    rows = [["yes", 3, 0.5], ["no", None, 1.5], ["no", 4, 2.5]]
    back = there_and_back(rows)
    assert back.dtype == object
    assert back.tolist() == rows


@pytest.mark.parametrize("kind", FRAMES)
def test_the_order_of_columns_is_kept(kind: str) -> None:
    frame = FRAMES[kind]({"z": [0.5, 1.5], "a": ["u", "v"], "m": [True, False]})
    schema = schema_of(frame)
    shuffled = FRAMES[kind]({"m": [True, False], "z": [0.5, 1.5], "a": ["u", "v"]})
    back = to_container(values_of(as_table(shuffled), schema), schema)
    assert as_table(back).names == ["z", "a", "m"]
    assert type(back) is type(frame)


DRAWS = {
    "text": ["u", "v", "w", "u"],
    "code": [10**11, 10**12, 10**13, 10**11],
    "number": [0.5, 0.25, 7.5, 1.5],
    "count": [4, 9, 5, 7],
    "date": [*DAYS, DAYS[0]],
}


@pytest.mark.parametrize("kind", FRAMES)
def test_levels_never_seen_can_be_drawn(kind: str) -> None:
    frame = FRAMES[kind](DRAWS)
    schema = schema_of(frame)
    values = values_of(as_table(frame), schema)
    values[1, :2] = 3.0
    back = as_table(to_container(values, schema))
    assert back.cells(0).as_it_came().tolist() == ["u", UNSEEN, "w", "u"]
    assert back.cells(1).missing.tolist() == [False, True, False, False]
    # A drawn row can be scored, and is what it was.
    again = values_of(back, schema, unknown=True)
    assert again[:, 0].tolist() == [0, 3, 2, 0]


def test_categories_that_were_never_seen_are_missing() -> None:
    for data in (
        pd.DataFrame({"a": pd.Categorical(["u", "v", "w"])}),
        pl.DataFrame({"a": pl.Series(["u", "v", "w"], dtype=pl.Enum(["u", "v", "w"]))}),
        pa.table({"a": pa.array(["u", "v", "w"]).dictionary_encode()}),
    ):
        schema = schema_of(data)
        back = to_container(np.array([[0.0], [3.0], [np.nan]]), schema)
        assert as_table(back).cells(0).missing.tolist() == [False, True, True]
        assert as_table(back).dtype(0) == as_table(data).dtype(0)


@pytest.mark.parametrize(
    ("column", "draw"),
    [
        (pa.array([1, 2, 5], pa.int8()), 127.0),
        (pa.array([1.5, 2, 5], pa.float32()), 1e300),
        (pa.array([1.5, 2, 5], pa.float16()), 1e300),
        (pa.array([Decimal("1.10"), Decimal("2.25"), Decimal("3.00")]), -1e300),
        (pa.array([Decimal("1.10"), Decimal("2.25"), None], pa.decimal128(38, 2)), 1e300),
        (pa.array(DAYS), np.nan),
        (pa.array([True, False, True]), np.nan),
        (pa.array([1, 2, 5]), np.nan),
    ],
)
def test_draws_at_the_ends_of_a_type(column: pa.Array, draw: float) -> None:
    table = pa.table({"a": column})
    for data in (table, pl.DataFrame({"a": pl.from_arrow(column)}),
                 table.to_pandas(), table.to_pandas(types_mapper=pd.ArrowDtype)):  # fmt: skip
        schema = schema_of(data)
        back = to_container(np.array([[draw], [1.0]]), schema)
        cells = as_table(back).cells(0)
        assert cells.missing.tolist() == [np.isnan(draw), False]
    assert named_columns(np.array([[draw]]), schema_of(table))["a"].type == column.type


def test_a_kind_that_is_not_that_of_the_type() -> None:
    frame = pd.DataFrame({"a": pd.Categorical([5, 2, 9]), "b": pd.Categorical(["3", "4", "8"])})
    back = there_and_back(frame, {"a": "integer", "b": "continuous"})
    assert back.to_numpy().tolist() == [[5, 3], [2, 4], [9, 8]]
    frame = pd.DataFrame({"a": [5, 2, 9]})
    back = there_and_back(frame, {"a": {"kind": "categorical", "levels": ["9", "5", "2", "11"]}})
    assert back["a"].tolist() == [5, 2, 9]


def test_frames_of_scores_keep_the_index() -> None:
    index = pd.Index(["r1", "r2"])
    frame = frame_of({"a": np.array([1.0, 2.0])}, "pandas", index)
    assert frame.index.equals(index)
    assert isinstance(frame_of({"a": np.array([1.0])}, "polars"), pl.DataFrame)
    assert isinstance(frame_of({"a": np.array([1.0])}, "pyarrow"), pa.Table)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_library_that_is_not_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_of(FRAMES[kind]({"a": [0, 1, 1]}))

    def refuse(name: str) -> Any:
        if name == kind:
            raise ImportError(f"No module named {name!r}")
        return import_module(name)

    monkeypatch.setattr("made.table.containers.import_module", refuse)
    with pytest.raises(DataError, match=f"{kind} cannot be imported.*Install {kind}"):
        to_container(np.zeros((1, 1)), schema)
