"""What users do with a mixed table: fit, score, draw, save, pool, resume; what they are told."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

import made
from made.cli import app
from made.demo import penguins
from made.errors import DataError, MadeNotice, OptionError
from made.fitting import RowSource, choose_hidden, choose_recipe
from made.fitting.recipe import resolve

TINY: dict[str, Any] = {
    "hidden": (12,), "members": 3, "max_epochs": 3, "threads": 1, "progress": False,
    "combine": "mixture",
}  # fmt: skip


def frame(n_rows: int = 200, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    city = random.choice(["Rome", "Oslo", "Bonn"], n_rows, p=[0.5, 0.3, 0.2])
    size = random.lognormal(4, 0.5, n_rows).round(2)
    rooms = random.poisson(2, n_rows) + 1
    built = pd.to_datetime("1950-01-01") + pd.to_timedelta(random.integers(0, 25000, n_rows), "D")
    table: Any = pd.DataFrame({"city": city, "size": size, "rooms": rooms, "built": built})
    table["garden"] = random.random(n_rows) < 0.3
    table.loc[random.random(n_rows) < 0.2, "size"] = np.nan
    table.loc[random.random(n_rows) < 0.1, "city"] = None
    return table.set_index(np.arange(n_rows) + 1000)


@pytest.fixture(scope="module")
def density() -> made.Density:
    return made.fit(frame(), **TINY)


def test_kinds_and_draws_are_those_of_the_frame(density: made.Density) -> None:
    kinds = [column.kind for column in density.schema.columns]
    assert kinds == ["categorical", "continuous", "integer", "datetime", "binary"]
    drawn = density.sample(300, seed=2)
    assert (drawn.dtypes == frame().dtypes).all()
    assert set(drawn["city"].dropna()) <= {"Rome", "Oslo", "Bonn"}
    assert drawn["size"].isna().any()
    assert (drawn["size"].dropna() >= 0).all()
    assert np.isfinite(density.log_prob(drawn)).all()
    pd.testing.assert_frame_equal(density.sample(40, seed=2), drawn.head(40))


def test_a_saved_model_scores_and_draws_alike(density: made.Density, tmp_path: Path) -> None:
    density.save(tmp_path / "m.made")
    again = made.load(tmp_path / "m.made")
    np.testing.assert_array_equal(again.log_prob(frame()), density.log_prob(frame()))
    pd.testing.assert_frame_equal(again.sample(20, seed=4), density.sample(20, seed=4))


def test_log_conditionals_come_in_a_frame_like_the_rows(density: made.Density) -> None:
    terms = density.log_conditionals(frame())
    assert list(terms.columns) == density.columns
    assert (terms.index == frame().index).all()
    assert (terms.sum(axis=1) <= density.log_prob(frame()) + 1e-4).all()


def test_unknown_cells_are_left_out(density: made.Density) -> None:
    rows = frame(40)
    whole = rows.dropna()
    known = density.log_prob(whole, missing="ignore")
    np.testing.assert_allclose(known, density.log_prob(whole), rtol=1e-5)
    # Where the city can be any or none, its outcomes add up to the marginal of the rest.
    holes = whole.assign(city=None)
    ours = density.log_prob(holes, missing="ignore")
    # A column that was never missing in fit may be unknown, and nothing at all be known.
    nothing = whole.head(2).assign(city=None, size=np.nan, rooms=np.nan, built=pd.NaT, garden=None)
    assert density.log_prob(nothing, missing="ignore").tolist() == [0.0, 0.0]
    assert (ours > known - 1e-6).all()
    with pytest.raises(DataError, match=r"'rooms' is missing at row 0.*missing=\"ignore\""):
        density.log_prob(nothing)
    with pytest.raises(OptionError, match='missing must be "model" or "ignore"'):
        density.log_prob(whole, missing="drop")


def test_levels_that_fit_never_saw(density: made.Density) -> None:
    rows = frame(5).assign(city="Paris")
    with pytest.raises(DataError, match=r"'city' has values unseen in fit: \['Paris'\] \(first at"):
        density.log_prob(rows)
    scores = density.log_prob(rows, unseen="rare")
    assert np.isfinite(scores).all()
    assert (scores < density.log_prob(frame(5).assign(city="Rome"))).all()


def test_validation_rows_beyond_a_limit_are_told(density: made.Density) -> None:
    valid = frame(20, seed=1)
    valid.loc[1003, "size"] = -4.0
    assert density.log_prob(valid)[3] == -np.inf
    with pytest.raises(DataError, match=r"validation data: .*'size' is -4 at row 3.*\"low\""):
        made.fit(frame(), valid, **TINY)
    free = made.fit(frame(), valid, schema={"size": {"low": None}}, **TINY)
    assert np.isfinite(free.log_prob(valid)).all()


def test_networks_of_other_rows_have_other_scales_and_pool(tmp_path: Path) -> None:
    rows = frame()[["city", "size", "garden"]]
    schema = {"size": {"kind": "continuous", "atoms": False}}
    first, second = (made.fit(rows, seed=seed, schema=schema, **TINY) for seed in (0, 1))
    assert first.schema.columns[1] != second.schema.columns[1]
    pooled = made.pool([first, second])
    expected = np.logaddexp(first.log_prob(rows), second.log_prob(rows)) - np.log(2)
    np.testing.assert_allclose(pooled.log_prob(rows), expected, rtol=1e-5)
    pooled.save(tmp_path / "p.made")
    np.testing.assert_allclose(made.load(tmp_path / "p.made").log_prob(rows), expected, rtol=1e-5)
    other = made.fit(rows.assign(city=rows["city"].fillna("Bari")), schema=schema, **TINY)
    with pytest.raises(OptionError, match="measure column 'city' differently"):
        made.pool([first, other])


def test_columns_that_are_left_out_may_be_there_or_not() -> None:
    rows = frame().assign(name=[f"house {n}" for n in range(200)])
    with pytest.warns(MadeNotice, match="1 column\\(s\\) are left out: 'name'"):
        density = made.fit(rows, **TINY)
    np.testing.assert_array_equal(density.log_prob(rows), density.log_prob(frame()))
    kept = made.fit(rows, keep=["name"], schema={"rooms": "left out"}, **TINY)
    assert kept.columns == ["city", "size", "built", "garden", "name"]


def test_very_many_categories_train_and_resume(tmp_path: Path, monkeypatch: Any) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 400, 4000)
    rows: Any = pd.DataFrame({"code": [f"c{code}" for code in codes], "even": codes % 2 == 0})
    options: dict[str, Any] = TINY | {"max_epochs": 4}
    whole = made.fit(rows, **options)
    assert whole._fitted.ensemble.members.models[0].points
    from made.training.loop import Trainer

    step, taken = Trainer._one_step, []

    def stop(trainer: Trainer, take_step: Any) -> None:
        step(trainer, take_step)
        taken.append(None)
        if len(taken) == 50:
            raise KeyboardInterrupt

    place = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_one_step", stop)
        with pytest.raises(KeyboardInterrupt):
            made.fit(rows, checkpoint=place, checkpoint_every=0, **options)
    resumed = made.fit(rows, checkpoint=place, resume=True, **options)
    np.testing.assert_array_equal(resumed.log_prob(rows), whole.log_prob(rows))
    # What the code says of being even is learned through the points.
    assert whole.log_prob(rows).mean() > whole.log_prob(rows.assign(even=~rows["even"])).mean()


def test_the_recipe_goes_by_rows_and_kinds() -> None:
    splits = RowSource(frame()).read()
    recipe = choose_recipe({}, splits.schema, 180, seed=0)
    assert (recipe.network.hidden, recipe.network.direct_input) == ((100, 100), False)
    assert recipe.training.patience == 750
    orderings = [choose_recipe({}, splits.schema, n, seed=0).training.n_orderings
                 for n in (44, 180, 4_999, 5_000)]  # fmt: skip
    assert orderings == [None, 16, 16, 2]
    bits = RowSource(np.random.default_rng(0).integers(0, 2, (50, 3))).read()
    plain = choose_recipe({}, bits.schema, 45, seed=0)
    assert (plain.network.hidden, plain.network.direct_input) == ((500, 500), True)
    assert (plain.training.patience, plain.network.dropout, plain.training.members) == (30, 0.0, 16)
    assert plain.training.learning_rate == 3e-3
    assert plain.training.n_orderings == 16
    wide = choose_recipe({}, bits.schema, 5_000, seed=0)
    assert (wide.network.hidden, wide.network.dropout) == ((2000,), 0.5)
    assert (wide.network.direct_input, wide.network.conditioning) == (False, False)
    assert (wide.training.n_orderings, wide.training.learning_rate) == (2, 2e-3)
    wider = choose_recipe({"orderings": 4}, bits.schema, 15_000, seed=0)
    assert (wider.network.hidden, wider.network.dropout) == ((4000,), 0.3)
    assert wider.training.n_orderings == 4
    images = RowSource(np.random.default_rng(0).integers(0, 2, (50, 500))).read().schema
    huge = choose_recipe({}, images, 40_000, seed=0)
    assert (huge.network.hidden, huge.network.dropout) == ((8000,), 0.5)
    assert (huge.training.n_orderings, huge.training.batch_size, huge.n_networks) == (1, 200, 1)
    columns = RowSource(np.random.default_rng(0).integers(0, 2, (50, 200))).read().schema
    narrow = choose_recipe({}, columns, 2_999, seed=0)
    assert (narrow.network.hidden, narrow.training.n_orderings) == ((1000,), 2)
    assert narrow.training.learning_rate == 3e-3
    listed = choose_recipe({"orderings": 16}, columns, 1_999, seed=0)
    assert (listed.network.hidden, listed.network.direct_input) == ((500, 500), True)
    assert choose_recipe({}, columns, 1_999, seed=0).training.n_orderings is None
    fresh = choose_recipe({}, bits.schema, 44, seed=0)
    assert (fresh.network.hidden, fresh.network.dropout) == ((500,), 0.5)
    assert (fresh.training.n_orderings, fresh.training.members) == (None, 64)
    assert (fresh.training.learning_rate, fresh.network.direct_input) == (5e-4, True)
    scarce = choose_recipe({}, columns, 399, seed=0, max_seconds=240.0)
    assert (scarce.network.hidden, scarce.network.conditioning) == ((500,), False)
    assert (scarce.training.n_orderings, scarce.training.weight_decay) == (16, 0.3)
    assert scarce.n_networks == 4
    assert choose_recipe({}, columns, 400, seed=0).training.n_orderings is None
    paper = choose_recipe(resolve("paper", {}), bits.schema, 5_000, seed=0)
    assert (paper.network.hidden, paper.network.dropout) == ((500, 500), 0.0)
    assert (paper.training.learning_rate, paper.training.members) == (1.0, 1000)
    chosen = choose_recipe({"hidden": (7,), "conditioning": True}, splits.schema, 180, seed=0)
    assert (chosen.network.hidden, chosen.network.conditioning) == ((7,), True)
    assert [choose_hidden(n)[0] for n in (10, 2_000, 50_000)] == [100, 200, 500]


def test_score_of_the_command_line(density: made.Density, tmp_path: Path) -> None:
    density.save(tmp_path / "m.made")
    rows = frame(30)
    rows.loc[1002, "size"] = -1.0
    rows.to_csv(tmp_path / "rows.csv", index=False)
    arguments = ["score", str(tmp_path / "m.made"), str(tmp_path / "rows.csv")]
    cells, scores = tmp_path / "cells.csv", tmp_path / "scores.csv"
    result = CliRunner().invoke(app, [*arguments, "--cells", str(cells), "--out", str(scores)])
    assert result.exit_code == 0, result.output
    assert "1 rows, the first is row 2: beyond the limits of a column" in result.stdout
    assert list(pd.read_csv(cells).columns) == density.columns
    assert pd.read_csv(scores)["log_prob"].tolist()[2] == -np.inf
    text = CliRunner().invoke(app, [*arguments, "--missing", "ignore", "--json"]).stdout
    content = json.loads(text)
    assert content["n_impossible"] == 1
    possible = density.log_prob(rows, missing="ignore")
    mean = possible[np.isfinite(possible)].mean()
    assert content["mean_log_prob"] == pytest.approx(mean, rel=1e-4)


def test_cells_are_matched_by_name(density: made.Density, tmp_path: Path) -> None:
    density.save(tmp_path / "m.made")
    rows = frame(30)
    out = []
    for number, table in enumerate((rows, rows[rows.columns[::-1]])):
        data, cells = tmp_path / f"{number}.csv", tmp_path / f"cells{number}.csv"
        table.to_csv(data, index=False)
        arguments = ["score", str(tmp_path / "m.made"), str(data), "--cells", str(cells)]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        out.append(pd.read_csv(cells))
    pd.testing.assert_frame_equal(out[0], out[1])
    expected = density.log_conditionals(rows).reset_index(drop=True)
    pd.testing.assert_frame_equal(out[0], expected, rtol=1e-4)


def test_info_tells_kinds_and_what_was_left_out(density: made.Density, tmp_path: Path) -> None:
    density.save(tmp_path / "m.made")
    result = CliRunner().invoke(app, ["info", str(tmp_path / "m.made")])
    assert "1 categorical, 1 continuous, 1 integer, 1 datetime, 1 binary" in result.stdout
    assert "cells of 2 can be missing" in result.stdout


def test_the_penguins_have_odd_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    found = penguins(max_time="2s", n_shown=3, progress=False)
    assert (found.n_rows, found.n_missing, len(found.odd)) == (344, 19, 3)
    for one in found.odd:
        assert one.cells[one.column] == one.value
        assert one.log_prob < found.mean_log_prob
        assert one.shortfall > 0
    assert json.loads(json.dumps(found.to_json()))["n_rows"] == 344
