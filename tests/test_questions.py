"""What users ask of a density: events, marginals, conditionals, draws given evidence, odd cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import made
from made.errors import DataError, OptionError, QuestionError

TINY: dict[str, Any] = {
    "hidden": (16,), "max_epochs": 8, "batch_size": 16, "learning_rate": 0.1, "warm_up": 0,
    "average_decay": 0.9, "direct_input": True, "threads": 1, "progress": False,
}  # fmt: skip
ROME = "city == 'Rome'"
RECORD = {"city": "Rome", "size": 50.0, "rooms": 2, "built": "1999-01-01", "garden": True}


def frame(n_rows: int = 160, seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    table: Any = pd.DataFrame({"city": random.choice(["Rome", "Oslo", "Bonn"], n_rows)})
    table["size"] = random.lognormal(4, 0.5, n_rows).round(2)
    table["rooms"] = random.poisson(2, n_rows) + 1
    days = pd.to_timedelta(random.integers(0, 9000, n_rows), "D")
    table["built"] = pd.to_datetime("1990-01-01") + days
    table["garden"] = np.where(table["city"] == "Rome", random.random(n_rows) < 0.8, False)
    table.loc[random.random(n_rows) < 0.2, "size"] = np.nan
    table.loc[random.random(n_rows) < 0.1, "city"] = None
    return table.set_index(np.arange(n_rows) + 1000)


@pytest.fixture(scope="module")
def density() -> made.Density:
    return made.fit(frame(), questions=True, members=4, **TINY)


@pytest.fixture(scope="module")
def product() -> made.Density:
    return made.fit(frame(), combine="product", orderings="all", members=3, **TINY)


@pytest.fixture(scope="module")
def four() -> made.Density:
    return made.fit(frame(), combine="mixture", orderings=4, **TINY)


def test_log_prob_given_all_none_and_some(density: made.Density) -> None:
    rows = frame(30)
    np.testing.assert_allclose(density.log_prob(rows, given=density.columns), 0, atol=1e-6)
    some = density.log_prob(rows, given=["city", "garden"])
    assert np.isfinite(some).all()
    np.testing.assert_array_equal(density.log_prob(rows, given=("city", "garden", "city")), some)
    with pytest.raises(QuestionError, match="no column 'town'"):
        density.log_prob(rows, given=["town"])


def test_one_joint_obeys_the_rules_of_probability(density: made.Density) -> None:
    joint = density.over(["city", "rooms", "garden"])
    events = [ROME, "rooms <= 2", "garden == true", "city is missing or rooms > 3"]
    for a in events:
        p_a = joint.probability(a)
        assert (p_a.exact, p_a.standard_error) == (True, 0)
        assert p_a.value + joint.probability(f"not ({a})").value == pytest.approx(1, abs=1e-6)
        for b in events:
            both = joint.probability(f"({a}) and ({b})").value
            assert both <= p_a.value + 1e-9
            p_b, conditional = joint.probability(b).value, joint.probability(a, given=b).value
            assert conditional * p_b == pytest.approx(both, abs=1e-6)
    own = joint.probability("city == 'Rome' and rooms == 2 and garden == true").value
    one = pd.DataFrame({"garden": [True], "rooms": [2], "city": ["Rome"]})
    np.testing.assert_allclose(joint.log_prob(one), [np.log(own)], rtol=1e-4)


def test_columns_that_are_not_in_it_are_refused(density: made.Density) -> None:
    joint = density.over("city")
    assert joint.columns == density.over(["city", "city"], orderings=2).columns == ["city"]
    for event, known in (("rooms > 3", None), (ROME, {"rooms": 3}), (ROME, "rooms == 3")):
        with pytest.raises(QuestionError, match=r"'rooms' is not among these: city"):
            joint.probability(event, given=known)
    with pytest.raises(DataError, match="no column 'city'"):
        joint.log_prob(frame(3)[["rooms"]])
    with pytest.raises(QuestionError, match=r"no column 'citi'.*Did you mean 'city'"):
        density.over(["citi"])


def test_draws_of_some_columns(density: made.Density) -> None:
    joint = density.over(["rooms", "city"])
    drawn = joint.sample(400, seed=3)
    pd.testing.assert_frame_equal(joint.sample(50, seed=3), drawn[["rooms", "city"]].head(50))
    expected = joint.probability(ROME).value
    assert (drawn["city"] == "Rome").mean() == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("n_rows", [-1, 2.5])
def test_a_number_of_draws_that_cannot_be(density: made.Density, n_rows: Any) -> None:
    for draw in (density.sample, density.over(["city"]).sample, density.conditional("city").sample):
        with pytest.raises(OptionError):
            draw(n_rows)


def test_evidence_as_text_and_as_cells(density: made.Density) -> None:
    event = "rooms > 2 and garden == true"
    text = density.probability(event, given="city == 'Rome' and size is missing")
    cells = density.probability(event, given={"city": "Rome", "size": None})
    assert text == cells
    # Rome has gardens, the others have none.
    rome, oslo = (density.probability("garden == true", {"city": c}) for c in ("Rome", "Oslo"))
    assert float(rome) > 1.2 * float(oslo)
    assert density.probability(ROME, given={}).value == density.probability(ROME).value
    assert density.probability("city == 'Rome' and city == 'Oslo'").value == 0
    dated = density.probability("built < '2000-01-01'", given={"built": "1999-12-31"})
    assert dated.value == pytest.approx(1, abs=1e-6)
    estimate = density.probability("size < 50 and built < '2000-01-01'", max_draws=200, seed=1)
    assert not estimate.exact
    assert 0 < estimate.standard_error < 0.1 < estimate.n_draws


def test_counts_are_probabilities_times_rows(density: made.Density) -> None:
    p = density.probability(ROME, given="rooms > 1").value
    assert density.count(ROME, "rooms > 1", rows=1000).value == pytest.approx(1000 * p)
    # The rows of the fit, those held out among them.
    assert density.count(ROME, "rooms > 1").value == pytest.approx(160 * p)
    with pytest.raises(OptionError, match="rows must be"):
        density.count(ROME, rows=-1)


@pytest.mark.parametrize("known", [{"rooms": -3}, {"rooms": None}, f"{ROME} and city == 'Oslo'"])
def test_impossible_evidence(density: made.Density, product: made.Density, known: Any) -> None:
    asks: list[Any] = [
        lambda model: model.probability("garden == true", given=known),
        lambda model: model.conditional("garden", known),
        lambda model: model.sample(3, given=known),
    ]
    for ask in asks:
        for model in (density, product):
            with pytest.raises(QuestionError, match=r"probability zero|contradicts itself"):
                ask(model)


def test_conditionals_of_levels(density: made.Density) -> None:
    alone: Any = density.conditional("city")
    text, cells = (density.conditional("city", given) for given in ("rooms == 2", {"rooms": 2}))
    assert text.probabilities == cells.probabilities != alone.probabilities
    assert 0.9 < sum(alone.probabilities.values()) + alone.missing <= 1 + 1e-6
    assert np.exp(alone.log_prob("Rome")) == pytest.approx(alone.probabilities["Rome"], rel=1e-4)
    assert alone.mode == max(alone.probabilities, key=alone.probabilities.__getitem__)


def test_conditionals_of_numbers(density: made.Density) -> None:
    one = density.conditional("size", ROME)
    low, high = one.interval(0.9)
    assert low < one.quantile(0.5) < high
    assert one.cdf(one.quantile(0.25)) == pytest.approx(0.25, abs=1e-4)
    drawn = one.sample(300, seed=1)
    assert not np.isnan(drawn).any()
    assert ((drawn >= low) & (drawn <= high)).mean() == pytest.approx(0.9, abs=0.1)
    first, last = density.conditional("built", {"city": "Rome"}).interval(0.5)
    assert np.datetime64("1989-01-01") < first < last


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_conditionals_of_many_rows(density: made.Density, kind: str) -> None:
    rows = frame(6)[["rooms", "city"]]
    given: Any = {"pandas": rows, "polars": pl.from_pandas(rows), "pyarrow": pa.table(rows)}[kind]
    many, sizes = (density.conditional(column, given) for column in ("garden", "size"))
    assert (many.probabilities.shape, many.sample(3).shape) == ((6, 2), (6, 3))
    for number, record in enumerate(rows.to_dict("records")):
        one = list(density.conditional("garden", record).probabilities.values())
        np.testing.assert_allclose(many.probabilities[number], one, rtol=1e-4)
        own = density.conditional("size", record)
        assert sizes.mean[number] == pytest.approx(own.mean, rel=1e-4)
        assert sizes.quantile(0.9)[number] == pytest.approx(own.quantile(0.9), rel=1e-4)


def test_conditionals_that_cannot_be(density: made.Density, product: made.Density) -> None:
    rows = frame(5)
    wrong: list[tuple[str, Any, str]] = [
        ("city", ROME, "asked for and given"), ("city", {"city": "Rome"}, "asked for and given"),
        ("city", rows, "and not 'city' itself"), ("size", np.zeros((3, 2)), "by name"),
        ("sizes", None, "Did you mean 'size'"), ("size", {"citi": 1}, "Did you mean 'city'"),
        ("size", rows[["city"]].assign(town=1), "no column 'town'"),
        ("size", rows[["rooms"]].assign(rooms=np.nan), "'rooms' is missing at row 0"),
        ("size", rows[["rooms"]].assign(rooms=-4), "evidence in row 0 has probability zero"),
        ("size", {"city": "Roma"}, "Roma"), ("size", "city == ", "Expected a column or a value"),
    ]  # fmt: skip
    for column, known, words in wrong:
        with pytest.raises(QuestionError, match=words):
            density.conditional(column, known)
    with pytest.raises(OptionError, match='ensemble="mixture"'):
        product.conditional("garden", rows[["city"]])
    assert product.conditional("garden", rows[["city"]], ensemble="mixture").mode.shape == (5,)


@pytest.mark.parametrize("given", [{"city": "Rome", "rooms": 2}, "rooms > 2 or size < 40", ROME])
def test_draws_given_evidence(density: made.Density, product: made.Density, given: Any) -> None:
    for model in (density, product):
        drawn = model.sample(40, given=given, seed=2)
        assert (drawn.dtypes.drop("city") == frame().dtypes.drop("city")).all()
        either = given == "rooms > 2 or size < 40"
        inside = (drawn["rooms"] > 2) | (drawn["size"] < 40) if either else drawn["city"] == "Rome"
        assert inside.all()
        pd.testing.assert_frame_equal(model.sample(15, given=given, seed=2), drawn.head(15))
        chunks = list(model.sample_chunks(40, given=given, seed=2, chunk_rows=17))
        assert [len(chunk["rooms"]) for chunk in chunks] == [17, 17, 6]
        for name in ("rooms", "size"):
            joined = np.concatenate([chunk[name].to_numpy(False) for chunk in chunks])
            np.testing.assert_allclose(joined, drawn[name].to_numpy(), rtol=1e-6)


def test_a_product_is_asked_as_a_mixture_or_refuses(product: made.Density) -> None:
    rows = frame(4)
    asks: list[Any] = [
        lambda **more: product.over(["city"], **more).log_prob(rows),
        lambda **more: product.over(["city"], **more).sample(3),
        lambda **more: product.log_prob(rows, given=["city"], **more),
        lambda **more: product.impute(rows, **more),
        lambda **more: product.explain(rows.head(1), **more),
    ]
    for ask in asks:
        with pytest.raises(OptionError, match=r"mixture|whole rows are drawn"):
            ask()
        assert len(ask(ensemble="mixture")) > 0
    exact = product.probability(ROME, given="rooms > 2", ensemble="mixture")
    own = product.probability(ROME, given="rooms > 2")
    assert (exact.exact, own.exact) == (True, False)
    assert own.value == pytest.approx(exact.value, abs=0.1)


def test_orderings_of_training_and_particles(four: made.Density, density: made.Density) -> None:
    check = four.record.order_check
    assert check is not None
    first, weighed = (
        four.probability("rooms > 2", ROME, method=how) for how in ("orderings", "particles")
    )
    assert (first.method, weighed.method) == ("orderings", "particles")
    assert first.value == pytest.approx(weighed.value, abs=0.1)
    assert four.probability("rooms > 2", given=ROME) in (first, weighed)
    assert four.conditional("rooms", ROME).method == check.better
    with pytest.raises(OptionError, match="for one row of evidence"):
        four.conditional("rooms", frame(3)[["city"]], method="particles")
    assert density.probability(ROME).method == "orderings"
    assert four.order_disagreement(frame(40), ["city", "rooms"]) > 0
    with pytest.raises(OptionError, match="questions=True trains on all orderings"):
        made.fit(frame(), questions=True, orderings=4, **TINY)


def test_a_name_may_stand_alone(density: made.Density) -> None:
    rows = frame(30)
    alone, listed = (density.log_prob(rows, given=given) for given in ("city", ["city"]))
    np.testing.assert_array_equal(alone, listed)
    assert density.order_disagreement(rows, "city") == density.order_disagreement(rows, ["city"])


def test_odd_cells_are_explained(density: made.Density) -> None:
    record = RECORD | {"size": 5000.0}
    found = density.explain(record)
    assert found[0].column == "size"
    surprises = [cell.surprise for cell in found]
    assert surprises == sorted(surprises, reverse=True) != [0] * 5
    row = pd.DataFrame([record]).assign(built=pd.to_datetime("1999-01-01"))
    assert density.explain(row) == found
    own: Any = density.conditional("size", {k: v for k, v in record.items() if k != "size"})
    assert found[0].log_prob == pytest.approx(own.log_prob(5000.0), abs=1e-3)
    hole = next(c for c in density.explain(record | {"size": None}) if c.column == "size")
    assert np.isnan(hole.value)
    assert np.exp(hole.log_prob) == pytest.approx(own.missing, rel=1e-3)


def test_cells_never_seen_are_explained(density: made.Density) -> None:
    record = RECORD | {"city": "Paris"}
    row = pd.DataFrame([record]).assign(built=pd.to_datetime("1999-01-01"))
    found = density.explain(row, unseen="rare")
    assert density.explain(record, unseen="rare") == found


def test_rows_that_cannot_be_explained(density: made.Density) -> None:
    wrong: list[tuple[Any, str]] = [
        (frame(2), "One row is explained at a time; got 2"), (frame(1).head(0), "got 0"),
        ({"city": "Rome"}, "The row has no 'size'"), (RECORD | {"garden": None}, "'garden' is"),
        (RECORD | {"city": "Roma"}, "Roma"), (RECORD | {"rooms": 2.5}, "whole number"),
    ]  # fmt: skip
    for row, words in wrong:
        with pytest.raises((QuestionError, DataError), match=words):
            density.explain(row)


def test_a_saved_model_answers_alike(four: made.Density, tmp_path: Path) -> None:
    four.save(tmp_path / "m.made")
    again = made.load(tmp_path / "m.made")
    assert again.record.order_check == four.record.order_check
    assert again.probability("rooms > 2", ROME) == four.probability("rooms > 2", ROME)
    own, other = (model.log_prob(frame(9), given=["city"]) for model in (four, again))
    np.testing.assert_array_equal(other, own)
