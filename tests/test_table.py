"""Arrays, tensors and frames become tables: names, cells, missing cells, bits, and what is none."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import made
from made.errors import DataError
from made.fitting import RowSource
from made.table import as_table, to_container, without_column
from made.table import values_of as values_by_schema
from tables import listed, schema_of

NAMES = ["a", "b", "c", "d"]
ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)
TINY: dict[str, Any] = {"hidden": (8,), "members": 2, "max_epochs": 1, "progress": False}


def columns_of(rows: np.ndarray) -> dict[str, np.ndarray]:
    return {name: rows[:, d] for d, name in enumerate(NAMES)}


# How to make each kind of container from an array, and the type that samples come back as.
CONTAINERS: dict[str, tuple[Callable[[np.ndarray], Any], type]] = {
    "numpy": (lambda rows: rows, np.ndarray),
    "lists": (lambda rows: rows.tolist(), np.ndarray),
    "tensor": (torch.as_tensor, np.ndarray),
    "pandas": (lambda rows: pd.DataFrame(rows, columns=pd.Index(NAMES)), pd.DataFrame),
    "polars": (lambda rows: pl.DataFrame(columns_of(rows)), pl.DataFrame),
    "pyarrow": (lambda rows: pa.table(columns_of(rows)), pa.Table),
}


def as_array(container: Any) -> np.ndarray:
    """Return the cells of a container side by side, in the type that its columns have."""
    if isinstance(container, np.ndarray):
        return container
    table = as_table(container)
    columns = [container[name] for name in table.column_names]
    return np.column_stack([np.asarray(column) for column in columns])


def values_of(data: Any) -> np.ndarray:
    table = as_table(data)
    return values_by_schema(table, schema_of(table))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.bool_])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_container_gives_the_same_values(kind: str, dtype: type) -> None:
    data = CONTAINERS[kind][0](ROWS.astype(dtype))
    values = values_of(data)
    assert values.dtype == np.uint8
    assert np.array_equal(values, ROWS)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_values_go_back_into_the_same_kind(kind: str, dtype: type) -> None:
    make, returned = CONTAINERS[kind]
    table = as_table(make(ROWS.astype(dtype)))
    schema = schema_of(table)
    back = to_container(values_by_schema(table, schema), schema)
    assert isinstance(back, returned)
    assert as_array(back).dtype == dtype
    assert np.array_equal(as_array(back), ROWS)
    assert as_table(back).names == table.names


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_])
@pytest.mark.parametrize("kind", CONTAINERS)
def test_fit_score_and_sample_take_every_container(kind: str, dtype: type) -> None:
    make, returned = CONTAINERS[kind]
    data = make(ROWS.astype(dtype))
    density = made.fit(data, **TINY)
    scores = density.log_prob(data)
    assert scores.shape == (60,)
    assert scores.dtype == np.float64
    assert np.array_equal(scores, density.log_prob(ROWS))
    drawn = density.sample(5, seed=3)
    assert isinstance(drawn, returned)
    assert as_array(drawn).dtype == dtype
    assert as_array(drawn).shape == (5, 4)
    # What is drawn can be scored: names and types are those of the model.
    assert np.isfinite(density.log_prob(drawn)).all()
    assert as_array(density.sample(0)).shape == (0, 4)


def test_booleans_stay_booleans_column_by_column() -> None:
    frame = pd.DataFrame({"flag": ROWS[:, 0].astype(bool), "bit": ROWS[:, 1]})
    back = to_container(values_of(frame), schema_of(frame))
    assert back.dtypes.astype(str).tolist() == ["bool", "uint8"]


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64", "category"])
def test_nullable_and_categorical_pandas_columns(dtype: str) -> None:
    frame = pd.DataFrame(ROWS).astype(bool if dtype == "boolean" else int).astype(dtype)
    assert np.array_equal(values_of(frame), ROWS)


def test_decimals_and_bfloat16() -> None:
    assert values_of(pa.table({"a": [Decimal(1), Decimal(0)]})).tolist() == [[1], [0]]
    assert np.array_equal(values_of(torch.as_tensor(ROWS).bfloat16()), ROWS)


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
        pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}),
        pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None])}),
        pd.DataFrame({"a": ["x", pd.NA]}, dtype=object),
        pl.DataFrame({"a": [1.5, float("nan")]}),
        pl.DataFrame({"a": [1.5, None]}),
        np.array([["x"], [None]], dtype=object),
        np.ma.masked_array([[1], [1]], mask=[[False], [True]]),
        np.ma.masked_array([[1.5], [1.5]], mask=[[False], [True]]),
        np.ma.masked_array([[True], [True]], mask=[[False], [True]]),
        torch.tensor([[1.0], [torch.nan]]),
        [["x"], [None]],
        [["x"], ["NA"]],
        [[1], ["NA"]],
        pd.DataFrame({"a": [True, " NA "]}),
        np.array([["x"], [""]]),
        np.array([["2020-01-01"], ["NaT"]], "M8[D]"),
    ],
)
def test_every_way_of_saying_missing(data: Any) -> None:
    assert as_table(data).cells(0).missing.tolist() == [False, True]
    assert np.isnan(values_of(data)[:, 0]).tolist() == [False, True]


def test_masked_arrays_without_a_mask() -> None:
    assert values_of(np.ma.masked_array([[0, 1], [1, 0]])).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.array([0, 1]), r"2 dimensions\), got 1 with shape \(2,\)\. For one row, pass data\["),
        (np.zeros((2, 2, 2)), r"got 3 with shape \(2, 2, 2\)"),
        ([[0, 1], [1]], "The rows differ in length"),
        ({"a": [0, 1]}, "frame; got dict. Convert it first"),
        (None, "got NoneType"),
        (pl.LazyFrame({"a": [0, 1]}), "got LazyFrame"),
        (pd.Series([0, 1]), "got Series"),
        (pd.DataFrame(ROWS, columns=pd.Index(list("abca"))), "'a' occurs twice"),
        ([{"a": 1}], "lists of cells; got mappings. Make a frame"),
        (
            np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]),
            "a structured array with the fiel",
        ),
        (pa.table([[1], [0]], names=["a", "a"]), r"'a' occurs twice \(again at position 1\)"),
    ],
)
def test_what_is_no_table(data: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        as_table(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.empty((0, 3)), "The data has no rows"),
        (pd.DataFrame({"a": []}), "The data has no rows"),
        (np.empty((3, 0)), "The data has no columns"),
        (np.ones((1, 3)), r"one row: there is none to validate on\. Pass more rows, or valid="),
    ],
)
def test_too_little_to_fit(data: Any, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        made.fit(data, **TINY)


def test_names_of_pandas_columns_become_texts() -> None:
    table = as_table(pd.DataFrame(ROWS))
    assert table.names == ["0", "1", "2", "3"]
    assert np.array_equal(values_of(table), ROWS)


def test_a_column_can_be_taken_out() -> None:
    frame = pd.DataFrame({"a": [0, 1], "id": ["r1", "r2"], "b": [1, 1]})
    left, ids = without_column(as_table(frame), "id")
    assert left.names == ["a", "b"]
    assert values_of(left).tolist() == [[0, 1], [1, 1]]
    assert ids.tolist() == ["r1", "r2"]
    with pytest.raises(DataError, match=r"no column 'key'\. Columns: 'a', 'id', 'b'\."):
        without_column(as_table(frame), "key")
    with pytest.raises(DataError, match="no column 'id': the data has no column names"):
        without_column(as_table(ROWS), "id")
    with pytest.raises(DataError, match="no column beside 'id'"):
        without_column(as_table(frame[["id"]]), "id")


def test_constant_columns_give_one_notice() -> None:
    rows = ROWS.copy()
    rows[:, 1], rows[:, 3] = 0, 1
    with pytest.warns(made.MadeNotice, match=r"2 column\(s\) never change.*'x1', 'x3'") as notices:
        density = made.fit(rows, **TINY)
    assert len(notices) == 1
    assert np.isfinite(density.log_prob(1 - rows)).all()


def test_errors_in_the_validation_data_say_so() -> None:
    with pytest.raises(DataError, match=r"In the validation data: .*4 columns and the data has 3"):
        made.fit(ROWS, ROWS[:, :3], **TINY)
    with pytest.raises(DataError, match="In the validation data: The data has no rows"):
        made.fit(ROWS, ROWS[:0], **TINY)


def test_a_tenth_is_held_out_by_the_seed() -> None:
    numbered = np.unpackbits(np.arange(100, dtype=np.uint8)[:, None], axis=1)[:, 1:]
    splits = RowSource(numbered).read(1)
    assert len(splits.valid) == 10
    both = np.concatenate([splits.train, splits.valid])
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, numbered.tolist()))
    assert np.array_equal(RowSource(numbered).read(1).valid, splits.valid)
    assert not np.array_equal(RowSource(numbered).read(2).valid, splits.valid)


@pytest.mark.parametrize(
    ("cells", "kept"),
    [
        (["007", "8"], ["007", "8"]),
        ([7, 8], [7, 8]),
        ([7, None], [7.0, None]),
        ([2**60 + 1, 5], [2**60 + 1, 5]),
        ([0.5, 2.0], [0.5, 2.0]),
        ([True, False], [True, False]),
        ([True, None], [True, None]),
        (["NA", None], ["NA", None]),
    ],
)
def test_a_column_that_is_taken_out_is_as_it_came(cells: list[Any], kept: list[Any]) -> None:
    ids = without_column(as_table(pa.table({"id": cells, "a": [0, 1]})), "id")[1].tolist()
    assert [None if cell != cell else cell for cell in ids] == kept
    assert [type(x) for x in ids if x is not None and x == x] == [
        type(c) for c in kept if c is not None
    ]


def test_cells_are_converted_once() -> None:
    table = as_table(pa.table({"a": ["x", "?"]}))
    assert table.cells(0) is table.cells(0)
    other = table.with_na(["?"])
    assert listed(other, 0) == ["x", None]
    assert listed(table, 0) == ["x", "?"]


def test_numbers_that_mean_missing_are_no_bits() -> None:
    table = as_table(np.array([[0, 1], [1, 1]])).with_na(["0"])
    assert np.array_equal(values_of(table), [[np.nan, 1], [1, 1]], equal_nan=True)


def test_arrays_of_bits_are_taken_as_they_are() -> None:
    rows = np.unpackbits(np.frombuffer(np.random.default_rng(0).bytes(4_900_000), np.uint8))
    rows = rows.reshape(50_000, 784)
    started = time.process_time()
    values = values_of(rows)
    assert time.process_time() - started < 2.0
    assert np.array_equal(values, rows)


def test_dictionaries_that_list_a_level_twice_or_none() -> None:
    array = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 3, None, 4]), pa.array(["x", "y", "x", None, "NA"])
    )
    table = as_table(pa.table({"a": array}))
    assert listed(table, 0) == ["x", "y", "x", None, None, None]
    assert schema_of(table).columns[0].to_json()["levels"] == ["x", "y"]
