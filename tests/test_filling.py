"""Missing cells are filled, and everything else of a table comes back as it was."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import made
from made.errors import DataError, OptionError

N_ROWS = 60
TINY: dict[str, Any] = {
    "hidden": (16,), "members": 3, "max_epochs": 4, "threads": 1, "progress": False,
    "questions": True,
}  # fmt: skip
PUNCHED = ["text", "string", "grade", "count", "real", "day", "flag"]


def frame() -> Any:
    random = np.random.default_rng(0)
    table: Any = pd.DataFrame({"text": random.choice(["a", "b", "c"], N_ROWS).astype(object)})
    table["text"] = table["text"].astype(object)
    table["string"] = pd.Series(random.choice(["x", "y"], N_ROWS), dtype="str")
    table["ident"] = [f"id {number}" for number in range(N_ROWS)]
    table["grade"] = pd.Categorical(
        random.choice(["lo", "hi"], N_ROWS), categories=["lo", "hi"], ordered=True
    )
    table["count"] = pd.array(random.poisson(3, N_ROWS), dtype="Int64")
    table["real"] = random.normal(size=N_ROWS)
    days = pd.to_timedelta(random.integers(0, 300, N_ROWS), "D")
    table["day"] = pd.to_datetime("2020-01-01") + days
    table["flag"] = (random.random(N_ROWS) < 0.4).astype(object)
    table["whole"] = random.integers(0, 9, N_ROWS)
    for name in PUNCHED:
        table.loc[random.random(N_ROWS) < 0.25, name] = None
    table.loc[3, "ident"] = None
    return table.set_index(pd.Index([f"r{number % 50}" for number in range(N_ROWS)], name="key"))


HOLES = frame()
IS_HOLE = HOLES[PUNCHED].isna().to_numpy()


@pytest.fixture(scope="module")
def density() -> made.Density:
    return made.fit(HOLES, schema={"ident": "left out"}, **TINY)


def plain(series: Any) -> pd.Series:
    return pd.Series(series.to_numpy())


def test_what_was_there_comes_back_as_it_was(density: made.Density) -> None:
    before = HOLES.copy(deep=True)
    filled = density.impute(HOLES)
    pd.testing.assert_frame_equal(HOLES, before)
    assert (filled.dtypes == HOLES.dtypes).all()
    pd.testing.assert_index_equal(filled.index, HOLES.index)
    assert list(filled.columns) == list(HOLES.columns)
    for name in HOLES.columns:
        there = HOLES[name].notna()
        pd.testing.assert_series_equal(
            filled.loc[there.to_numpy(), name], HOLES.loc[there.to_numpy(), name]
        )
    assert not filled[PUNCHED].isna().to_numpy().any()
    # A column that the model left out is none of its business.
    pd.testing.assert_series_equal(filled["ident"], HOLES["ident"])
    assert set(filled["text"]) == {"a", "b", "c"}
    assert {type(cell) for cell in filled["flag"]} == {bool}
    assert (filled["count"] >= 0).all()


def test_other_columns_orders_and_types_of_the_same_table(density: made.Density) -> None:
    filled = density.impute(HOLES)
    turned = density.impute(HOLES[HOLES.columns[::-1]])
    pd.testing.assert_frame_equal(turned, filled[HOLES.columns[::-1]])
    bare = density.impute(HOLES.drop(columns="ident"))
    pd.testing.assert_frame_equal(bare, filled.drop(columns="ident"))
    floats = density.impute(HOLES.astype({"count": "float64", "text": "category"}))
    assert floats["count"].tolist() == filled["count"].tolist()
    assert floats["count"].dtype == "float64"
    assert floats["text"].dtype == "category"
    assert floats["text"].tolist() == filled["text"].tolist()
    with pytest.raises(DataError, match="missing: 'text'"):
        density.impute(HOLES.drop(columns="text"))
    odd = HOLES.assign(text="zz")
    with pytest.raises(DataError, match=r"'text' has values unseen in fit: \['zz'\]"):
        density.impute(odd)
    assert (density.impute(odd, unseen="rare")["text"] == "zz").all()


def one_column(cells: Any) -> Any:
    return pd.DataFrame({"a": cells, "b": np.arange(len(cells)) % 3})


DAYS = pd.Series(pd.to_datetime("2020-01-01") + pd.to_timedelta(np.arange(40) * 77, "h"))
DAYS[::4] = pd.NaT
REALS = pd.Series(np.random.default_rng(1).normal(size=40)).where(np.arange(40) % 4 > 0)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (REALS.astype("float32"), float),
        (REALS.astype("Float32"), np.float32),
        (DAYS.astype("datetime64[ns]"), pd.Timestamp),
        (DAYS.dt.tz_localize("UTC"), pd.Timestamp),
        (DAYS.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"), pd.Timestamp),
        (pd.Series([None if pd.isna(day) else day.date() for day in DAYS]), datetime.date),
        (pd.Series([None if pd.isna(real) else f"{real:.2f}" for real in REALS]), str),
        ((REALS > 0).astype("boolean").where(REALS.notna()), np.bool_),
        (pd.Series([1, 2, 7, None] * 10, dtype="Int64").astype("category"), int),
    ],
    ids=["float32", "Float32", "ns", "UTC", "Tokyo", "date", "numbers as texts", "boolean", "cat"],
)  # fmt: skip
def test_types_of_a_column_are_kept(cells: Any, kind: type) -> None:
    table = one_column(cells)
    filled = made.fit(table, **TINY).impute(table)["a"]
    holes = cells.isna()
    assert holes.sum() == 10
    assert filled.dtype == table["a"].dtype
    pd.testing.assert_series_equal(filled[~holes], table["a"][~holes])
    assert {type(cell) for cell in filled[holes]} == {kind}


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_other_frames(density: made.Density, kind: str) -> None:
    own = HOLES.assign(flag=HOLES["flag"].astype("boolean")).reset_index(drop=True)
    polar = pl.from_pandas(own).with_columns(
        pl.col("day").cast(pl.Date), pl.col("real").cast(pl.Float32)
    )
    table: Any = polar if kind == "polars" else polar.drop("grade").to_arrow()
    if kind == "pyarrow":
        codes = pa.array(own["grade"].cat.codes.where(own["grade"].notna()), pa.int8())
        grades = pa.DictionaryArray.from_arrays(codes, pa.array(["lo", "hi"]), ordered=True)
        table = table.append_column("grade", grades).replace_schema_metadata({"who": "me"})
    filled = density.impute(table)
    assert type(filled) is type(table)
    assert filled.schema == table.schema
    before, after = (pl.from_arrow(t) if kind == "pyarrow" else t for t in (table, filled))
    assert isinstance(before, pl.DataFrame)
    assert isinstance(after, pl.DataFrame)
    for name in before.columns:
        there = before[name].is_not_null()
        assert after[name].filter(there).to_list() == before[name].filter(there).to_list()
        assert after[name].null_count() == (1 if name == "ident" else 0)
    # What fills a hole does not depend on the kind of frame.
    expected = density.impute(HOLES)
    assert after["text"].to_list() == expected["text"].tolist()
    np.testing.assert_allclose(after["real"], expected["real"], rtol=1e-4, atol=1e-5)


def test_arrays() -> None:
    random = np.random.default_rng(0)
    rows = np.column_stack([random.integers(0, 2, 80), random.normal(size=(80, 2))])
    rows[random.random(rows.shape) < 0.2] = np.nan
    density = made.fit(rows, **TINY)
    there = ~np.isnan(rows)
    for dtype in (np.float64, np.float32):
        own = rows.astype(dtype)
        filled = density.impute(own)
        assert filled.dtype == dtype
        np.testing.assert_array_equal(filled[there], own[there])
        assert not np.isnan(filled).any()
        assert set(filled[:, 0]) == {0, 1}
    found = density.impute(rows, numbers="median", interval=0.8)
    inner = ~there[:, 1]
    assert found.low.shape == rows.shape
    assert (found.low[inner, 1] <= found.filled[inner, 1]).all()
    assert np.isnan(found.high[there]).all()
    whole = np.nan_to_num(rows)[:, :2].astype(np.int64)
    kept = made.fit(whole, **TINY).impute(whole)
    np.testing.assert_array_equal(kept, whole)
    assert kept.dtype == whole.dtype


def test_texts_of_a_file_stay_as_they_are(tmp_path: Path) -> None:
    lines = [f"{'007' if n % 3 else '010'},{'?' if n % 7 == 0 else f'{1.5 + n % 5:.2f}'},"
             f"{'' if n % 5 == 0 else 'x y' if n % 2 else 'z'},note {n},{n % 28 + 1}.1.2020"
             for n in range(80)]  # fmt: skip
    lines[5] = lines[5].rsplit(",", 1)[0] + ","
    (tmp_path / "a.csv").write_text("code,price,mark,id,day\n" + "\n".join(lines) + "\n")
    density = made.fit(tmp_path / "a.csv", na=["?"], schema={"id": "left out"}, **TINY)
    filled = density.impute(tmp_path / "a.csv")
    assert filled.schema == pa.schema([(name, pa.string()) for name in filled.column_names])
    assert filled.column_names == ["code", "price", "mark", "id", "day"]
    before = [line.split(",") for line in lines]
    n_filled = 0
    for row, cells in zip(filled.to_pylist(), before, strict=True):
        for name, cell in zip(filled.column_names, cells, strict=True):
            if cell in ("", "?"):
                n_filled += 1
                assert row[name] not in ("", "?", None)
            else:
                assert row[name] == cell
    assert n_filled == 12 + 16 + 1
    assert set(filled["mark"].to_pylist()) == {"x y", "z"}
    assert 1 < float(filled["price"][0].as_py()) < 6
    # The day of row 5 is written like the others.
    assert datetime.datetime.strptime(filled["day"][5].as_py(), "%d.%m.%Y").year == 2020


def test_draws_differ_in_holes_alone_and_repeat(density: made.Density) -> None:
    draws = density.impute(HOLES, draws=3, seed=5)
    again = density.impute(HOLES, draws=3, seed=5)
    other = density.impute(HOLES, draws=1, seed=6)[0]
    assert len(draws) == 3
    for one, two in zip(draws, again, strict=True):
        pd.testing.assert_frame_equal(one, two)
        assert (one.dtypes == HOLES.dtypes).all()
        assert not one[PUNCHED].isna().to_numpy().any()
        cells, own = (table[PUNCHED].astype(object).to_numpy() for table in (one, HOLES))
        assert (cells[~IS_HOLE] == own[~IS_HOLE]).all()
    for left, right in ((draws[0], draws[1]), (draws[1], draws[2]), (draws[0], other)):
        assert (left["real"] != right["real"]).tolist() == HOLES["real"].isna().tolist()
    # Fewer rows or draws change nothing of the others.
    pd.testing.assert_frame_equal(density.impute(HOLES, draws=1, seed=5)[0], draws[0])
    pd.testing.assert_frame_equal(density.impute(HOLES.head(20), draws=1, seed=5)[0], draws[0][:20])


def test_intervals_are_of_numbers_alone(density: made.Density) -> None:
    found = density.impute(HOLES, numbers="median", interval=0.8)
    assert list(found.low.columns) == list(found.high.columns) == ["count", "real", "day", "whole"]
    pd.testing.assert_index_equal(found.low.index, HOLES.index)
    for name in ("count", "real", "whole"):
        low, high, cells = (plain(t[name]) for t in (found.low, found.high, found.filled))
        holes = plain(HOLES[name]).isna()
        assert (low.notna() == holes).all()
        assert (high.notna() == holes).all()
        assert (low[holes] <= cells[holes]).all()
        assert (cells[holes] <= high[holes]).all()
    narrow = density.impute(HOLES, interval=0.2)
    assert (narrow.high["real"] - narrow.low["real"]).mean() < (
        found.high["real"] - found.low["real"]
    ).mean()
    pd.testing.assert_frame_equal(found.filled, density.impute(HOLES, numbers="median"))
    assert isinstance(
        density.impute(pl.from_pandas(HOLES.assign(flag=True)), interval=0.5).low, pl.DataFrame
    )


def test_columns_wholly_missing_and_nothing_missing(density: made.Density) -> None:
    empty = HOLES.assign(
        text=None, real=np.nan, day=pd.Series(pd.NaT, HOLES.index, dtype=HOLES["day"].dtype)
    )
    filled = density.impute(empty)
    assert not filled[PUNCHED].isna().to_numpy().any()
    assert set(filled["text"]) <= {"a", "b", "c"}
    # A column that had no hole in fit may have one now.
    new = density.impute(HOLES.assign(whole=HOLES["whole"].astype(float).where(HOLES["whole"] > 4)))
    assert new["whole"].between(0, 9).all()
    whole = density.impute(HOLES)
    pd.testing.assert_frame_equal(density.impute(whole), whole)
    for one in density.impute(whole, draws=2):
        pd.testing.assert_frame_equal(one, whole)
    pd.testing.assert_frame_equal(density.impute(HOLES.head(0)), HOLES.head(0))
    never = HOLES[["text", "real"]].assign(nothing=np.nan)
    with pytest.warns(made.MadeNotice, match="never change"):
        kept = made.fit(never, **TINY).impute(never)
    assert kept["nothing"].isna().all()
    assert not kept["real"].isna().any()


def test_means_medians_and_modes_differ(density: made.Density) -> None:
    filled = {how: density.impute(HOLES, numbers=how) for how in ("mean", "median", "mode")}
    holes = HOLES["real"].isna().to_numpy()
    assert (filled["mean"]["real"] != filled["mode"]["real"])[holes].any()
    assert (filled["mean"]["text"] == filled["mode"]["text"]).all()
    pd.testing.assert_frame_equal(filled["mean"], density.impute(HOLES))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": 2, "interval": 0.5}, "not both"), ({"numbers": "max"}, "mean, median, mode"),
        ({"draws": -1}, "at least 0"), ({"draws": 1.5}, "whole number"), ({"draws": True}, "draws"),
        ({"interval": 0}, "between 0 and 1"), ({"interval": 1.0}, "between 0 and 1"),
        ({"interval": "wide"}, "between 0 and 1"), ({"draws": 1, "numbers": "max"}, "median"),
        ({"unseen": "drop"}, "unseen must be"), ({"ensemble": "product"}, "must be \"mixture\""),
        ({"seed": -1, "draws": 1}, "seed"),
    ],
)  # fmt: skip
def test_options_that_cannot_work(density: made.Density, options: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        density.impute(HOLES.head(5), **options)
