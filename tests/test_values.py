"""Cells become values, and rows that do not fit what was fitted are refused with all it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from made.columns import CategoricalColumn
from made.errors import DataError, OptionError
from made.table import as_table, fit_schema, values_of
from tables import FRAMES, declared, schema_of

COLUMNS: dict[str, list[Any]] = {
    "grade": ["A", "B", "C", "A"],
    "sex": ["f", "m", "m", "f"],
    "age": [20, 30, None, 40],
    "count": [1, 2, 3, 9],
    "price": [0.5, 1.5, 2.5, 0.0],
    "day": ["2020-01-31", "2020-02-01", "2020-02-02", None],
}
EXPECTED = np.array(
    [[0, 0, 20, 1, 0.5, 18292], [1, 1, 30, 2, 1.5, 18293], [2, 1, np.nan, 3, 2.5, 18294],
     [0, 0, 40, 9, 0.0, np.nan]]
)  # fmt: skip
SCHEMA = schema_of(pa.table(COLUMNS))


def row(**other: Any) -> pa.Table:
    """Return two rows that are good, but for some cells of the second."""
    return pa.table(
        {name: [cells[1], other.get(name, cells[0])] for name, cells in COLUMNS.items()}
    )


def values(data: Any, unseen: Any = "error", **options: Any) -> np.ndarray:
    return values_of(as_table(data), SCHEMA, unseen, **options)


@pytest.mark.parametrize("kind", FRAMES)
def test_every_frame_has_the_same_values(kind: str) -> None:
    assert np.array_equal(values(FRAMES[kind](COLUMNS)), EXPECTED, equal_nan=True)


def test_text_is_read_like_a_file() -> None:
    texts = {name: ["" if c is None else str(c) for c in cells] for name, cells in COLUMNS.items()}
    assert np.array_equal(values(pa.table(texts)), EXPECTED, equal_nan=True)
    assert np.array_equal(values_of(as_table(pa.table(texts)), schema_of(pa.table(texts))),
                          EXPECTED, equal_nan=True)  # fmt: skip


def test_dates_and_their_texts_are_one() -> None:
    days = pd.to_datetime(pd.Series(COLUMNS["day"]))
    frame = pd.DataFrame(COLUMNS).assign(day=days)
    assert np.array_equal(values(frame), EXPECTED, equal_nan=True)
    fitted = schema_of(frame)
    assert np.array_equal(values_of(as_table(pa.table(COLUMNS)), fitted), EXPECTED, equal_nan=True)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"grade": "E"}, r"'grade' has values unseen in fit: \['E'\] \(first at row 1\)\. Known: "
     r"\['A', 'B', 'C'\]\. Refit, or pass unseen=\"rare\"\."),
    ({"sex": "d"}, r"'sex' has values unseen in fit: \['d'\] \(first at row 1\)\..*has two values"),
    ({"grade": None}, r"'grade' is missing at row 1, and had no missing cell in fit.*\"ignore\""),
    ({"count": 2.5}, r"'count' is 2\.5 at row 1, and must be a whole number"),
    ({"price": np.inf}, r"'price' is infinite in 1 row\(s\), first at row 1"),
    ({"day": "2020-02-30"}, r"'day' has cells that are no date of the form %Y-%m-%d: "
     r"'2020-02-30' \(first at row 1\)"),
    ({"day": "soon"}, r"'day' has cells that are no date of the form %Y-%m-%d: 'soon'"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), BAD)
def test_cells_that_cannot_be(cells: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=f"^Column {expected}"):
        values(row(**cells))


@pytest.mark.parametrize(
    ("name", "cells", "expected"),
    [
        ("price", ["1.5", "cheap"], r"no number: 'cheap' \(first at row 1\)\. Correct them"),
        ("price", pd.to_datetime(["2020-01-01"] * 2), "holds times where numbers are expected"),
        ("grade", pd.to_datetime(["2020-01-01"] * 2), "holds times where categories are expected"),
        ("day", [1, 2], "holds numbers where times are expected"),
        ("day", pd.to_datetime(["2020-01-01 10:00", "2020-01-01 00:00"]),
         "is 2020-01-01T10:00:00.000000 at row 0, and times in fit were whole multiples of 1 D"),
        ("grade", [1, 2], r"unseen in fit: \[1, 2\] \(first at row 0\)\. Known: \['A'"),
        ("age", [True, [1]], "mixes types"),
    ],
)  # fmt: skip
def test_columns_of_another_type(name: str, cells: Any, expected: str) -> None:
    frame = row().to_pandas()
    frame[name] = pd.Series(cells, dtype=None if isinstance(cells, pd.Index) else object)
    with pytest.raises(
        DataError, match=f"^Column '{name}' .*{expected}|^Column '{name}' {expected}"
    ):
        values(frame)


def test_unseen_levels_can_be_scored() -> None:
    assert values(row(grade="E"), "rare")[:, 0].tolist() == [1, 3]
    # What was drawn is no surprise.
    assert values(row(grade="<unseen>"))[:, 0].tolist() == [1, 3]
    with pytest.raises(DataError, match="sex"):
        values(row(sex="d"), "rare")
    with pytest.raises(OptionError, match='unseen must be "error" or "rare", got \'no\''):
        values(row(), "no")


def test_unknown_cells_may_be_missing() -> None:
    assert np.isnan(values(row(grade=None, price=None), unknown=True)[1, [0, 4]]).all()


@pytest.mark.parametrize(
    ("levels", "cells", "places"),
    [
        (["1", "2", "x"], [1, 2.0, 1], [0, 1, 0]),
        ([10**11, 5], ["5", "100000000000", "1e11"], [1, 0, 0]),
        (["yes ", "no", "x"], ["yes", " no", "x "], [0, 1, 2]),
        (["True", "x", "y"], [True, True, True], [0, 0, 0]),
        (["007", "7", "x"], ["7", "007", " 007 "], [1, 0, 0]),
        ([10**18, 10**18 + 1], [str(10**18 + 1), str(10**18), f"+{10**18}"], [1, 0, 0]),
    ],
)
def test_levels_are_the_same_however_written(
    levels: list[Any], cells: list[Any], places: list[int]
) -> None:
    said = {"a": {"kind": "categorical", "levels": levels}}
    schema = schema_of(pa.table({"a": levels}), said)
    assert values_of(as_table(pa.table({"a": cells})), schema)[:, 0].tolist() == places


def test_levels_that_are_one_number_are_merged() -> None:
    found = declared(pa.table({"a": ["1", "1.0", "x", "y"]}))[0]
    assert found.levels == ("1", "x", "y")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["grade", "sex", "age", "count", "price", "Day"],
         r"missing: 'day'; not in the model: 'Day'\)\. Did you mean 'Day'\? Rename, add or drop"),
        (["grade", "sex", "age", "count", "price"], r"\(missing: 'day'\)"),
        ([*COLUMNS, "more"], r"\(not in the model: 'more'\)"),
    ],
)  # fmt: skip
def test_names_that_do_not_match(names: list[str], expected: str) -> None:
    with pytest.raises(DataError, match=f"columns do not match the model's .*{expected}"):
        values(pl.DataFrame({name: [1] for name in names}))


def test_columns_are_found_by_name() -> None:
    shuffled = pa.table({name: COLUMNS[name] for name in sorted(COLUMNS)})
    assert np.array_equal(values(shuffled), EXPECTED, equal_nan=True)


@pytest.mark.parametrize("n_columns", [0, 5, 7])
def test_rows_of_another_width(n_columns: int) -> None:
    with pytest.raises(DataError, match=f"model has 6 columns and the data has {n_columns}"):
        values(np.zeros((2, n_columns)))


def test_scales_and_counts_come_from_the_rows_that_are_named() -> None:
    table = as_table(pa.table({"a": ["u", "v", "w", "u"], "b": [0.5, 1.5, 2.5, 99.5]}))
    schema = fit_schema(table, declared(table), np.array([0, 1, 3]))
    category, number = schema.columns
    assert isinstance(category, CategoricalColumn)
    assert (category.levels, category.counts) == (("u", "v", "w"), (2, 1, 0))
    assert number.to_json()["knots"][0] == 0.5
    assert schema_of(table).columns[1].to_json()["knots"] != number.to_json()["knots"]


def test_limits_are_those_of_the_type() -> None:
    schema = schema_of(pd.DataFrame({"a": pd.Series([1, -2, 7], dtype="int8"), "b": [1, 2, 7]}))
    assert [(c.to_json()["low"], c.to_json()["high"]) for c in schema.columns] == [
        (-128.0, 127.0), (0.0, 2.0**53),
    ]  # fmt: skip
