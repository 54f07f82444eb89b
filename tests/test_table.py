"""Arrays, tensors and frames become checked values, and samples come back as the same kind."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

import made
from made.errors import DataError
from made.fitting import read_splits
from made.table import as_table, binary_values, infer_schema, to_container, without_column

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
    table = as_table(container)
    return np.column_stack([table.cells(d) for d in range(table.n_columns)])


def values_of(data: Any) -> np.ndarray:
    table = as_table(data)
    return binary_values(table, infer_schema(table))


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
    schema = infer_schema(table)
    back = to_container(binary_values(table, schema), schema)
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
    table = as_table(frame)
    back = to_container(values_of(frame), infer_schema(table))
    assert back.dtypes.astype(str).tolist() == ["bool", "uint8"]


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "Float64", "category"])
def test_nullable_and_categorical_pandas_columns(dtype: str) -> None:
    frame = pd.DataFrame(ROWS).astype(bool if dtype == "boolean" else int).astype(dtype)
    assert np.array_equal(values_of(frame), ROWS)


def test_decimals_and_bfloat16() -> None:
    assert values_of(pa.table({"a": [Decimal(1), Decimal(0)]})).tolist() == [[1], [0]]
    assert np.array_equal(values_of(torch.as_tensor(ROWS).bfloat16()), ROWS)


BAD_CELLS = {
    "two": ([0, 2, -1, 2], r"other than 0 and 1: 2, -1 \(first at row 1\)\. Recode it as 0/1"),
    "half": ([0.0, 1.0, 0.5, 1.0], r"other than 0 and 1: 0\.5 \(first at row 2\)"),
    "infinity": ([0.0, np.inf, 1.0, 1.0], r"other than 0 and 1: inf \(first at row 1\)"),
    "text": (["no", "yes", "no", "yes"], r"other than 0 and 1: 'no', 'yes' \(first at row 0\)"),
    "one word": (["0", "1", "0", "?"], r"other than 0 and 1: '\?' \(first at row 3\)"),
    "digits as text": (
        ["0", "1", "0", "1"],
        r"the texts '0' and '1' instead of numbers\. Con",
    ),
    "dates": ([datetime.date(2020, 1, 1)] * 4, r"datetime\.date\(2020, 1, 1\) \(first at row 0\)"),
    "none": ([0, None, 1, None], r"missing cells \(first at row 1\).*fill or drop those rows"),
    "missing flag": ([True, False, None, True], r"missing cells \(first at row 2\)"),
    "nothing": ([None] * 4, r"missing cells \(first at row 0\)"),
    "lists": ([[1], [0], [1], [0]], r"other than 0 and 1: .*\(first at row 0\)"),
}


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
@pytest.mark.parametrize("case", BAD_CELLS)
def test_bad_cells_of_frames(case: str, make: Callable[[Any], Any]) -> None:
    cells, expected = BAD_CELLS[case]
    with pytest.raises(DataError, match=f"^Column 'bad' .*{expected}"):
        values_of(make({"good": [0, 1, 1, 0], "bad": cells}))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([[0, 1], [0, 7]], r"Column 'x1' has values other than 0 and 1: 7 \(first at row 1\)"),
        ([[0, 1], [np.nan, 1]], r"Column 'x0' has missing cells \(first at row 1\)"),
        ([[0, None], [1, 1]], r"Column 'x1' has missing cells \(first at row 0\)"),
        ([["0", "1"]], "Column 'x0' holds the texts '0' and '1' instead of numbers"),
        ([[1j, 1]], r"Column 'x0' has values other than 0 and 1: 1j \(first at row 0\)"),
    ],
)
def test_bad_cells_of_arrays(cells: list[list[Any]], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        values_of(np.array(cells))


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
        pd.DataFrame({"a": pd.array([True, None], dtype="boolean")}),
        pd.DataFrame({"a": pd.to_datetime(["2020-01-01", None])}).iloc[1:],
        np.ma.masked_array([[1], [1]], mask=[[False], [True]]),
        torch.tensor([[1.0], [torch.nan]]),
    ],
)
def test_every_way_of_saying_missing(data: Any) -> None:
    with pytest.raises(DataError, match="has missing cells"):
        values_of(data)


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


def test_columns_are_found_by_name() -> None:
    density = made.fit(pd.DataFrame(ROWS, columns=pd.Index(NAMES)), **TINY)
    shuffled = pl.DataFrame(columns_of(ROWS)).select(["c", "a", "d", "b"])
    assert np.array_equal(density.log_prob(shuffled), density.log_prob(ROWS))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "b", "c", "x"], r"\(missing: 'd'; not in the model: 'x'\)\. Rename, add or drop"),
        (["a", "b", "c"], r"\(missing: 'd'\)"),
        (["a", "b", "c", "d", "e"], r"\(not in the model: 'e'\)"),
        (["A", "b", "c", "d"], r"missing: 'a'; not in the model: 'A'"),
    ],
)
def test_names_that_do_not_match(names: list[str], expected: str) -> None:
    schema = infer_schema(as_table(pl.DataFrame(columns_of(ROWS))))
    other = as_table(pl.DataFrame({name: [0, 1] for name in names}))
    with pytest.raises(DataError, match=f"columns do not match the model's .*{expected}"):
        binary_values(other, schema)


@pytest.mark.parametrize("n_columns", [0, 3, 5])
def test_rows_of_another_width(n_columns: int) -> None:
    schema = infer_schema(as_table(ROWS))
    with pytest.raises(DataError, match=f"model has 4 columns and the data has {n_columns}"):
        binary_values(as_table(np.zeros((2, n_columns))), schema)


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
    splits = read_splits(numbered, seed=1)
    assert len(splits.valid) == 10
    both = np.concatenate([splits.train, splits.valid])
    assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, numbered.tolist()))
    assert np.array_equal(read_splits(numbered, seed=1).valid, splits.valid)
    assert not np.array_equal(read_splits(numbered, seed=2).valid, splits.valid)


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_a_library_that_is_not_there(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = as_table(CONTAINERS[kind][0](ROWS))

    def refuse(name: str) -> Any:
        if name == kind:
            raise ImportError(f"No module named {name!r}")
        return import_module(name)

    monkeypatch.setattr("made.table.frames.import_module", refuse)
    with pytest.raises(DataError, match=f"{kind} cannot be imported.*Install {kind}"):
        to_container(ROWS, infer_schema(table))
