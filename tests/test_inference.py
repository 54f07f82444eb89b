"""What columns are taken to be: the rules that people would expect, and seventeen real tables."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from made.errors import DataError
from made.table import LEFT_OUT, as_table, infer, read_table, values_of
from tables import FRAMES, declared, declared_column, schema_of

GOLDEN = Path(__file__).parent / "golden" / "kinds.json"
MANY = range(100)


def data_folder() -> Path | None:
    """Return the folder of real tables, if this machine has it."""
    above = Path(__file__).resolve().parents[2:4]
    places = [Path(os.environ["MADE_DATA"])] if "MADE_DATA" in os.environ else []
    places += [folder / "shared" / "data" for folder in above]
    return next((place / "tables" for place in places if (place / "tables").is_dir()), None)


def kinds_of(place: Path) -> dict[str, list[object]]:
    name = place.name.removesuffix(".csv.gz")
    na = ["?"] if name.startswith("adult_census") or name == "mushroom" else []
    found = infer(read_table(place, na=na), {})
    return {column.name: [column.kind, column.missing] for column in found}


@pytest.mark.skipif(data_folder() is None, reason="the real tables are not here")
@pytest.mark.parametrize("name", json.loads(GOLDEN.read_text(encoding="utf-8")))
def test_kinds_of_real_tables(name: str) -> None:
    folder = data_folder()
    assert folder is not None
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))[name]
    assert kinds_of(folder / f"{name}.csv.gz") == expected


KINDS: list[tuple[list[Any], str]] = [
    (["yes", "no", "yes"], "binary"),
    (["u", "v", "v"], "binary"),
    ([True, False, True], "binary"),
    (["True", "False", "true"], "binary"),
    ([0, 1, 1], "binary"),
    (["0", "1.0", "0"], "binary"),
    ([1, 2, 1, 2], "binary"),
    ([1.0, 2.0, 1.0, 2.0], "binary"),
    ([0, 0, 0], "binary"),
    (["a", "b", "c"], "categorical"),
    (["a", "a", None], "categorical"),
    (["None", "a", "b"], "categorical"),
    (["007", "12", "9"], "categorical"),
    (["01069", "10115", "99999"], "categorical"),
    ([10**11, 5, 6], "categorical"),
    (["1e18", "5", "6"], "categorical"),
    ([10**18, 10**18 + 1, 10**18], "categorical"),
    ([7, 7, 7], "categorical"),
    ([2.5, 2.5, None], "categorical"),
    ([None, None], "categorical"),
    (["", "NA", " "], "categorical"),
    ([1, 2, 3], "integer"),
    ([1.0, 2.0, None, 9.0], "integer"),
    (["1", "2", "1e2"], "integer"),
    ([-1, 1, 2], "integer"),
    ([1, 2], "integer"),
    ([0.5, 1.0, 2.0], "continuous"),
    (["0.5", " -0", "NaN"], "continuous"),
    (["2020-01-01", "2020-02-01", None], "datetime"),
    (["2020-01-01T10:00:00Z", "2020-02-01T11:00:00Z"], "datetime"),
    ([datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)], "datetime"),
]


@pytest.mark.parametrize(("cells", "kind"), KINDS)
def test_kinds(cells: list[Any], kind: str) -> None:
    assert declared_column(cells).kind == kind


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize(("cells", "kind"), KINDS)
def test_kinds_in_every_frame(cells: list[Any], kind: str, library: str) -> None:
    found = declared(FRAMES[library]({"a": cells}))[0]
    assert (found.kind, found.missing) == (kind, declared_column(cells).missing)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("census_code", "categorical"), ("Zip", "categorical"), ("customerID", "categorical"),
     ("zip-code", "categorical"), ("PULocationID", "categorical"), ("period", "integer"),
     ("idle", "integer"), ("valid", "integer"), ("number", "integer")],
)  # fmt: skip
def test_codes_by_name(name: str, kind: str) -> None:
    assert declared_column([100, 205, 100, 300], name=name).kind == kind
    assert declared_column(["100", "205", "100", "300"], name=name).kind == kind


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("name", [f"person {i}" for i in MANY]),
        ("remark", [f"remark {i % 90}" for i in MANY]),
        ("row", list(MANY)),
        ("a", [str(i) for i in MANY]),
        ("shuffled", [int(i) for i in np.random.default_rng(0).permutation(100)]),
        ("CustomerId", [i * 7919 % 100003 for i in MANY]),
        ("token", [10**12 + i * 7919 for i in MANY]),
        ("big", [10**17 + i for i in MANY]),
        ("postcode", [f"0{i:04d}" for i in MANY]),
    ],
)
def test_what_differs_in_every_row_is_left_out(name: str, cells: list[Any]) -> None:
    table = pa.table({name: cells, "b": [i % 3 for i in MANY]})
    found = declared(table)[0]
    assert found.kind == LEFT_OUT
    assert "different in nearly every row" in found.note
    schema = schema_of(table)
    assert schema.left_out == ((0, name),)
    assert values_of(as_table(table), schema).shape == (100, 1)
    # The column need not be there when rows are scored.
    assert values_of(as_table(table.select(["b"])), schema).shape == (100, 1)
    kept = declared(table, keep=[name])[0]
    assert kept.kind in ("categorical", "integer")
    assert values_of(as_table(table), schema_of(table, keep=[name])).shape == (100, 2)


def test_categories_that_differ_in_every_row_are_left_out() -> None:
    frame = pd.DataFrame({"a": pd.Categorical([f"p{i}" for i in MANY]), "b": [1.5] * 100})
    assert declared(frame)[0].kind == LEFT_OUT


@pytest.mark.parametrize(
    "cells",
    [
        [f"p{i}" for i in range(19)],
        [float(i) + 0.5 for i in MANY],
        [i * 7919 % 100003 for i in MANY],
        [f"2020-01-{i % 28 + 1:02d} 10:{i % 60:02d}" for i in MANY],
    ],
)
def test_what_stays_though_it_differs(cells: list[Any]) -> None:
    assert declared_column(cells).kind != LEFT_OUT


def test_a_table_of_names_alone_is_refused() -> None:
    with pytest.raises(DataError, match=r"No column is left to model.*keep=\[\.\.\.\] \(--keep\)"):
        declared(pa.table({"a": [f"p{i}" for i in MANY]}))
    with pytest.raises(DataError, match=r"keep names the column 'nmae'.*Did you mean 'name'\?"):
        declared(pa.table({"name": ["a"]}), keep=["nmae"])


@pytest.mark.parametrize(
    ("cells", "na", "missing"),
    [
        (["a", "", "NA", "NaN", "nan", "null", " NA ", None, "b", "b"], [], 7),
        (["a", "None", "none", "?", "N/A", "-"], [], 0),
        (["a", "?", " ?", "b"], ["?"], 2),
        (["1", "-999", "2"], ["-999"], 1),
        ([1.0, -999.0, 2.0], ["-999"], 1),
        ([1.0, float("inf"), 2.0], ["inf"], 1),
        ([1, -999, 2], ["-999", "2"], 2),
    ],
)
def test_missing_cells(cells: list[Any], na: list[str], missing: int) -> None:
    table = as_table(pa.table({"a": cells, "b": [0.5] * len(cells)})).with_na(na)
    assert table.cells(0).missing.sum() == missing
    assert infer(table, {})[0].missing == (missing > 0)


def test_constant_columns_are_told() -> None:
    table = pa.table({"a": ["x"] * 3, "b": [0] * 3, "c": [2.5] * 3, "d": pa.nulls(3), "e": [4] * 3})
    found = declared(table)
    assert [column.note for column in found] == [
        *["one value in all rows"] * 3, "no cell has a value", "one value in all rows",
    ]  # fmt: skip
    assert [column.levels for column in found] == [("x",), (0, 1), (2.5,), (), (4,)]


def test_zero_is_a_bound_where_nothing_lies_beyond() -> None:
    limits = [(column.low, column.high) for column in declared(
        pa.table({"a": [0.5, 2.5], "b": [-1.5, 0.0], "c": [-1.5, 2.0], "d": [3, 9]})
    )]  # fmt: skip
    assert limits == [(0.0, None), (None, 0.0), (None, None), (0.0, None)]


@pytest.mark.parametrize(
    ("texts", "unit", "note"),
    [
        (["01/02/2020", "03/04/2020"], "D", "read as month, day, year"),
        (["13/02/2020", "03/04/2020"], "D", ""),
        (["2.1.2020", "3.1.2020"], "D", "read as day, month, year"),
        (["2020-01-02 10:00", "2020-01-02 11:00"], "h", ""),
        (["2020-01-02 10:00:00", "2020-01-02 11:00:01"], "s", ""),
    ],
)
def test_dates(texts: list[str], unit: str, note: str) -> None:
    found = declared_column(texts)
    assert (found.kind, found.unit, found.note) == ("datetime", unit, note)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([*map(str, MANY), "12o"], r"no number: '12o' \(first at row 100\)\. Correct them, name"),
        ([*(f"2020-01-{i % 28 + 1:02d}" for i in MANY), "2020-02-30"],
         r"no date of the form %Y-%m-%d: '2020-02-30' \(first at row 100\)"),
        ([1.5, np.inf, -np.inf], r"infinite in 2 row\(s\), first at row 1\."),
        ([0.5, "1e999"], r"mixes types: float \(0\.5 at row 0\), str \('1e999' at row 1\)"),
        (["0.5", "1e999"], r"infinite in 1 row\(s\), first at row 1"),
        ([[1], [2]], "type object, list<item: int64>, which cannot be modelled"),
        ([{"x": 1}, {"x": 2}], r"struct<.*which cannot be modelled"),
        ([np.timedelta64(1, "s"), np.timedelta64(5, "s")], "duration.*which cannot be modelled"),
        ([1 + 2j, 2 + 0j], "Column 'a' (has the type complex|cannot be read)"),
        ([b"x", b"y"], "binary, which cannot be modelled"),
        ([True, "yes"], "mixes types: bool"),
        ([1, None, "x"], r"mixes types: int \(1 at row 0\), str \('x' at row 2\)"),
    ],
)  # fmt: skip
def test_columns_that_cannot_be_read(cells: list[Any], expected: str) -> None:
    frame = pd.DataFrame({"a": pd.Series(cells, dtype=object)})
    with pytest.raises(DataError, match=expected):
        declared(frame)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": pd.to_timedelta([1, 2])}),
        pd.DataFrame({"a": pd.period_range("2020", periods=2, freq="M")}),
        pd.DataFrame({"a": [1j, 2j]}),
        pl.DataFrame({"a": [[1], [2]]}),
        pl.DataFrame({"a": [{"x": 1}, {"x": 2}]}),
        pl.DataFrame({"a": pl.Series([1, 2], dtype=pl.Duration)}),
        pl.DataFrame({"a": pl.Series([1, 2**90], dtype=pl.Int128)}),
        pa.table({"a": pa.array([1, 2], pa.time32("s"))}),
        np.array([[1j], [2j]]),
        np.array([[1], [2]], "m8[s]"),
    ],
)
def test_types_that_cannot_be_modelled(frame: Any) -> None:
    with pytest.raises(DataError, match=r"Column '(a|x0)' has the type .*, which cannot be model"):
        declared(frame)


@pytest.mark.parametrize("category", [pd.Interval(0, 1), pd.Timestamp("2020-01-01"), np.inf])
def test_categories_that_are_no_texts_or_numbers(category: Any) -> None:
    frame = pd.DataFrame({"a": pd.Categorical([category] * 3)})
    with pytest.raises(DataError, match=r"Column 'a' has (the category|the type category)"):
        declared(frame)


def test_times_that_cannot_be_counted() -> None:
    fine = pd.DataFrame({"a": pd.to_datetime([10**9 + 1, 10**9], unit="ns")})
    with pytest.raises(DataError, match=r"'a' is .*0001 at row 0\. Times must be whole micros"):
        declared(fine)
    far = pa.table({"a": pa.array([0, 2**40], pa.timestamp("s"))})
    with pytest.raises(DataError, match=r"at row 1\. Times must be years from 1 to 9999"):
        declared(far)
