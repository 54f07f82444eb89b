"""Conditionals, draws given evidence, holes and explanations, against sums over everything."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from cases import mixed_model, random_model, some_rows
from made.conditionals import Interval, Region
from made.ensemble import Certification, Combination, Ensemble, Members, given
from made.errors import OptionError, QuestionError
from made.queries.asking import conditional_of, conditional_of_rows
from made.queries.drawing import draw_given
from made.queries.events import Conjunction, Event, Within, holds, region_of_value, values_of_event
from made.queries.explanation import explain
from made.queries.family_mixture import FamilyMixture
from made.queries.imputation import draw_holes, impute
from made.queries.probability import order_columns
from made.queries.scoring import log_prob_given, order_disagreement
from made.queries.trained import check_orders
from made.queries.weighted_values import WeightedValues
from test_fronts import all_rows
from test_probability import SMALL, ensemble_of, random_event

COMBINATIONS = {
    "mixture": {"power": 1.0},
    "product": {"power": 0.0},
    "power": {"power": 0.5},
    "tree": {"power": 0.0, "branches": np.array([0, 0, 1, 1]), "branch_power": 1.0},
    "tree of powers": {"power": 0.3, "branches": np.array([0, 1, 1, 0]), "branch_power": 0.6},
}


def combined(name: str, model=None) -> Ensemble:
    model = model or random_model(6)
    members = Members([(model, model.connectivity_source(1, None).members(4))])
    return Ensemble(members, Combination(np.array([0.1, 0.4, 0.2, 0.3]), **COMBINATIONS[name]))


def rows_of(ensemble: Ensemble, event: Event, first: list) -> tuple[np.ndarray, np.ndarray]:
    """Return all rows of an event and their probabilities, members with ``first`` first."""
    rows = all_rows(ensemble.members.models[0])
    inside = rows[torch.as_tensor(holds(event, rows.numpy()))]
    members = ensemble.members.with_first(*first)
    weights = np.exp(
        ensemble.combination.log_mean(members.log_probs(inside, ensemble.combination.support))
    )
    return inside.numpy(), weights / weights.sum()


@pytest.mark.parametrize("name", COMBINATIONS)
def test_an_ensemble_given_values_is_joint_over_marginal(name: str) -> None:
    ensemble = combined(name)
    known = {4: 1.0, 1: 0.0}
    conditional = given(ensemble, known)
    event = Conjunction(tuple(Within(c, region_of_value(v)) for c, v in known.items()))
    rows, expected = rows_of(ensemble, event, [[4, 1]])
    conditional.certify(Certification())
    assert conditional.is_exact
    assert np.exp(conditional.log_prob(torch.as_tensor(rows))) == pytest.approx(expected, abs=1e-5)
    ours = log_prob_given(ensemble, torch.as_tensor(rows), [4, 1])
    assert np.exp(ours) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_draws_given_values_follow_the_conditional(name: str) -> None:
    ensemble = combined(name)
    conditional = given(ensemble, {2: 1.0, 5: 0.0, 0: 1.0})
    conditional.certify(Certification())
    drawn = conditional.sample(4000, seed=3)
    assert (drawn[:, [2, 5, 0]] == [1, 0, 1]).all()
    rows, places = np.unique(drawn, axis=0, return_inverse=True)
    expected = np.exp(conditional.log_prob(torch.as_tensor(rows))) * 4000
    counts = np.bincount(places.reshape(-1))
    rest = 4000 - expected.sum()
    chi = ((counts - expected) ** 2 / expected).sum() + rest
    assert stats.chi2.sf(chi, 2**3 - 1) > 1e-4
    again = conditional.sample(10, seed=3, first_row=20)
    assert (again == drawn[20:30]).all()


@pytest.mark.parametrize("name", ["mixture", "power"])
@pytest.mark.parametrize("kind", SMALL)
def test_draws_given_events_follow_the_conditional(name: str, kind: str) -> None:
    model = SMALL[kind]()
    ensemble, random = combined(name, model), np.random.default_rng(11)
    event = random_event(random, model, 2)
    while not 0.1 < holds(event, all_rows(model).numpy()).mean() < 0.9:
        event = random_event(random, model, 2)
    drawn = draw_given(ensemble, event, 3000, seed=0)
    assert holds(event, drawn).all()
    # What was never seen has a mass and is not drawn.
    seen = [
        Within(d, Region((Interval(0.0, len(getattr(column, "levels", (0, 1))) - 1.0),), True))
        for d, column in enumerate(model.columns)
    ]
    tiers = order_columns(model.columns, True, event)
    rows, expected = rows_of(ensemble, Conjunction((event, *seen)), tiers)
    for column in range(model.n_columns):
        for value in np.unique(rows[:, column]):
            region = region_of_value(value)
            p = min(expected[region.contains(torch.as_tensor(rows[:, column]))].sum(), 1.0)
            share = region.contains(torch.as_tensor(drawn[:, column])).numpy().mean()
            assert share == pytest.approx(p, abs=4 * (p * (1 - p) / 3000) ** 0.5 + 1e-3)
    assert (draw_given(ensemble, event, 5, seed=0) == drawn[:5]).all() or np.isnan(drawn[:5]).any()


def test_events_that_hardly_ever_happen_are_not_drawn(monkeypatch) -> None:
    monkeypatch.setattr("made.queries.drawing._HOPELESS", 3000)
    ensemble = ensemble_of(mixed_model(["real", "price", "counts"]))
    far = Region((Interval(1e7, np.inf),))
    with pytest.raises(QuestionError, match=r"too rare to be drawn|probability zero"):
        draw_given(ensemble, Conjunction((Within(0, far), Within(1, far))), 2, seed=0)


@pytest.mark.parametrize("name", COMBINATIONS)
@pytest.mark.parametrize("kind", ["binary", "categories"])
def test_the_distribution_of_a_column_given_an_event(name: str, kind: str) -> None:
    model = SMALL[kind]()
    ensemble = combined(name, model)
    known = Conjunction((Within(1, Region.of_values([1.0])), Within(3, Region.of_values([0.0]))))
    found = conditional_of(ensemble, 2, known, n_draws=100, seed=0, method="orderings")
    assert found.exact
    tiers = order_columns(model.columns, True, known)
    # Of a mixture the column comes right after the evidence, of a product wherever it does.
    tiers = [*tiers, [2]] if name == "mixture" else tiers
    rows, expected = rows_of(ensemble, known, tiers)
    masses = [expected[rows[:, 2] == place].sum() for place in range(len(found.levels))]
    assert list(found.probabilities.values()) == pytest.approx(masses, abs=1e-5)
    assert found.missing == pytest.approx(expected[np.isnan(rows[:, 2])].sum(), abs=1e-5)
    likeliest = found.levels[int(np.argmax(masses))]
    assert found.mode == likeliest
    assert found.log_prob(likeliest) == pytest.approx(np.log(max(masses)), abs=1e-4)


@pytest.mark.parametrize("column", ["counts", "stars", "real", "real gains", "gains", "share"])
def test_numbers_given_evidence(column: str) -> None:
    model = mixed_model(["grades", column, "binary", "price"])
    ensemble = ensemble_of(model)
    found = conditional_of(
        ensemble, 1, Within(0, Region.of_values([1.0])), n_draws=100, seed=0, method="orderings"
    )
    assert isinstance(found, FamilyMixture)
    assert found.exact
    for level in (0.05, 0.3, 0.5, 0.9):
        at = found.quantile(level)
        assert found.cdf(at) >= level - 1e-9
        below = at - 1 if model.columns[1].kind == "integer" else np.nextafter(at, -np.inf)
        assert found.cdf(float(below)) <= level + 1e-6
    low, high = found.interval(0.8)
    assert low <= found.quantile(0.5) <= high
    drawn = found.sample(20_000, seed=1).astype(float)
    spread = drawn.std() / len(drawn) ** 0.5
    assert drawn.mean() == pytest.approx(found.mean, abs=6 * spread + 1e-9)
    assert np.quantile(drawn, 0.5) == pytest.approx(
        found.quantile(0.5), abs=0.2 * drawn.std() + 1e-9
    )
    with pytest.raises(QuestionError, match="holds numbers and has no levels"):
        _ = found.probabilities


def test_a_region_of_too_many_cells_is_drawn_from() -> None:
    model = mixed_model(["real", "grades"])
    ensemble = ensemble_of(model)
    known = Within(0, Region((Interval(9.0, 12.0),)))
    found = conditional_of(ensemble, 1, known, n_draws=20_000, seed=0, method="orderings")
    assert not found.exact
    assert found.effective_sample_size is not None
    assert 100 < found.effective_sample_size <= 20_010
    rows = draw_given(ensemble, known, 20_000, seed=5)
    shares = [(rows[:, 1] == place).mean() for place in range(3)]
    assert list(found.probabilities.values()) == pytest.approx(shares, abs=0.02)


def test_weighted_draws_under_the_orderings_of_training() -> None:
    model = SMALL["categories"]()
    ensemble = combined("mixture", model)
    known = Within(3, Region.of_values([1.0]))
    found = conditional_of(ensemble, 0, known, n_draws=40_000, seed=0, method="particles")
    assert isinstance(found, WeightedValues)
    assert not found.exact
    assert found.method == "particles"
    rows, expected = rows_of(ensemble, known, [])
    masses = [expected[rows[:, 0] == place].sum() for place in range(3)]
    assert list(found.probabilities.values()) == pytest.approx(masses, abs=0.015)
    assert set(found.sample(50)) <= set(found.levels)


def test_weighted_draws_of_numbers() -> None:
    model = mixed_model(["real, holes", "grades", "counts"])
    ensemble = ensemble_of(model)
    known = Within(1, Region.of_values([0.0]))
    found = conditional_of(ensemble, 0, known, n_draws=20_000, seed=0, method="particles")
    exact = conditional_of(ensemble, 0, known, n_draws=1, seed=0, method="orderings")
    assert found.missing == pytest.approx(exact.missing, abs=0.3)
    assert found.cdf(found.quantile(0.5)) == pytest.approx(0.5, abs=0.01)
    assert found.quantile(0.1) <= found.mode <= found.quantile(0.9)
    assert found.quantile(0.01) <= found.mean <= found.quantile(0.99)
    with pytest.raises(QuestionError, match="Draws tell no density"):
        found.log_prob(3.0)


def test_rows_of_evidence_are_answered_one_by_one() -> None:
    model = SMALL["categories"]()
    ensemble = combined("mixture", model)
    values = np.array([[0.0, np.nan, 3.0, 1.0], [2.0, 1.0, 0.0, 0.0]])
    many = conditional_of_rows(ensemble, 2, values, [0, 1])
    assert many.probabilities.shape == (2, 7)
    for row, ours in zip(values, many.probabilities, strict=True):
        known = Conjunction(tuple(Within(c, region_of_value(row[c])) for c in (0, 1)))
        one = conditional_of(ensemble, 2, known, n_draws=1, seed=0, method="orderings")
        assert ours == pytest.approx(list(one.probabilities.values()), abs=1e-5)
    assert many.sample(4).shape == (2, 4)
    assert len(many.mode) == 2


def test_a_column_cannot_be_asked_for_and_given() -> None:
    ensemble = combined("mixture")
    with pytest.raises(QuestionError, match="is asked for and given"):
        conditional_of(
            ensemble, 1, Within(1, region_of_value(0.0)), n_draws=1, seed=0, method="orderings"
        )


def test_a_product_of_numbers_given_some_is_refused() -> None:
    model = mixed_model(["real", "counts", "grades"])
    ensemble = combined("product", model)
    values = torch.as_tensor(some_rows(model.columns, 3))
    with pytest.raises(OptionError, match='ensemble="mixture"'):
        log_prob_given(ensemble, values, [0])


def test_values_of_an_event() -> None:
    one, two = Within(0, region_of_value(1.0)), Within(2, region_of_value(np.nan))
    known = values_of_event(Conjunction((one, two)))
    assert known is not None
    assert known[0] == 1.0
    assert np.isnan(known[2])
    assert values_of_event(Within(0, Region.of_values([0.0, 1.0]))) is None
    assert values_of_event(True) == {}


def test_holes_are_filled_from_what_follows_the_observed_cells() -> None:
    model = SMALL["categories"]()
    ensemble = combined("mixture", model)
    values = np.array([[0.0, np.nan, np.nan, 1.0], [np.nan, 1.0, 4.0, 0.0], [1.0, 0.0, 2.0, 1.0]])
    found = impute(ensemble, values)
    observed = ~np.isnan(values)
    assert (found.values[observed] == values[observed]).all()
    assert not np.isnan(found.values).any()
    for row, column, known in ((0, 1, [0, 3]), (0, 2, [0, 3]), (1, 0, [1, 2, 3])):
        one = conditional_of_rows(ensemble, column, values[[row]], known)
        assert found.values[row, column] == one.mode_values()[0]
    # One at a time or together, the same.
    alone = [impute(ensemble, values[[row]]).values[0] for row in range(3)]
    assert (np.array(alone) == found.values).all()


def test_holes_of_numbers_have_points_and_intervals() -> None:
    model = mixed_model(["grades", "counts", "real, holes", "price"])
    ensemble = ensemble_of(model)
    values = some_rows(model.columns, 60, seed=2)
    values[::2, 1], values[::3, 2], values[1::4, 3] = np.nan, np.nan, np.nan
    holes = np.isnan(values)
    by_mean = impute(ensemble, values, interval=0.8)
    assert by_mean.low is not None
    assert by_mean.high is not None
    numbers = holes & np.array([False, True, True, True])
    assert np.isnan(by_mean.low[~numbers]).all()
    assert (by_mean.low[numbers] <= by_mean.high[numbers]).all()
    by_median = impute(ensemble, values, point="median").values
    assert (by_mean.low[numbers] <= by_median[numbers]).all()
    assert (by_median[numbers] <= by_mean.high[numbers]).all()
    assert (by_mean.values[:, 1] == np.rint(by_mean.values[:, 1])).all()
    assert (by_mean.values[:, 3] >= 0).all()
    by_mode = impute(ensemble, values, point="mode").values
    assert np.isfinite(by_mode).all()
    with pytest.raises(OptionError, match="mean, median, mode"):
        impute(ensemble, values, point="average")


def test_the_log_probability_of_what_stood_in_a_hole() -> None:
    model = mixed_model(["grades", "stars", "binary"])
    ensemble = combined("mixture", model)
    truth = np.array([[0.0, 3.0, 1.0], [2.0, 5.0, 0.0]])
    values = truth.copy()
    values[0, 1] = np.nan
    found = impute(ensemble, values, truth=truth)
    assert found.log_probs is not None
    assert found.shares is not None
    one = conditional_of_rows(ensemble, 1, truth[[0]], [0, 2])
    expected = one.log_prob_of_values(np.array([3.0])) - np.log(1 - one.missing)
    assert found.log_probs[0, 1] == pytest.approx(expected[0], abs=1e-6)
    assert np.isnan(found.log_probs[1]).all()
    below, up_to = (share[0, 1] for share in found.shares)
    assert up_to - below == pytest.approx(np.exp(found.log_probs[0, 1]), abs=1e-5)


def test_drawn_holes_follow_the_joint_of_the_row() -> None:
    model = random_model(4)
    ensemble = combined("mixture", model)
    values = np.tile([1.0, np.nan, np.nan, 0.0], (3000, 1))
    values[:, 2:] = [[np.nan, 0.0]]
    drawn = draw_holes(ensemble, values, 2, seed=0)
    assert len(drawn) == 2
    known = Conjunction((Within(0, region_of_value(1.0)), Within(3, region_of_value(0.0))))
    rows, expected = rows_of(ensemble, known, [[0, 3]])
    for row, p in zip(rows, expected, strict=True):
        share = (drawn[0] == row).all(axis=1).mean()
        assert share == pytest.approx(p, abs=4 * (p * (1 - p) / 3000) ** 0.5 + 1e-3)
    assert not (drawn[0] == drawn[1]).all()
    few = draw_holes(ensemble, values[:5], 1, seed=0)[0]
    assert (few == drawn[0][:5]).all()


def test_draws_never_fill_a_hole_with_missing_or_unseen() -> None:
    model = mixed_model(["stars", "rare levels", "real, holes", "binary of texts, missing"])
    ensemble = ensemble_of(model)
    values = np.full((200, 4), np.nan)
    drawn = draw_holes(ensemble, values, 1, seed=0)[0]
    assert not np.isnan(drawn).any()
    assert (drawn[:, 1] < 7).all()


def test_explanations_put_each_column_last() -> None:
    model = SMALL["categories"]()
    ensemble = combined("mixture", model)
    values = np.array([[0.0, np.nan, 3.0, 1.0]])
    found = explain(ensemble, values)
    for column in range(4):
        others = [place for place in range(4) if place != column]
        one = conditional_of_rows(ensemble, column, values, others)
        assert found.log_probs[0, column] == pytest.approx(
            one.log_prob_of_values(values[:, column])[0], abs=1e-6
        )
        assert found.likeliest[0, column] == one.mode_values()[0]
    assert (found.likeliest_log_probs >= found.log_probs - 1e-6).all() or np.isnan(values).any()


def test_orderings_that_say_the_same_do_not_disagree() -> None:
    model = mixed_model(["grades", "stars", "binary"])
    values = torch.as_tensor(some_rows(model.columns, 50))
    ensemble = Ensemble.mixture(model, model.connectivity_source(1, None).members(1))
    order = ensemble.members[0].order
    assert order_disagreement(ensemble, values, order[:1].tolist()) == pytest.approx(0, abs=1e-5)
    assert order_disagreement(ensemble, values, order[2:].tolist()) > 0.01


@pytest.mark.parametrize("fixed", [True, False])
def test_what_other_orderings_cost_is_measured(fixed: bool) -> None:
    model = mixed_model(["grades", "stars", "binary", "real, holes"])
    ensemble = combined("mixture", model)
    values = some_rows(model.columns, 80)
    check = check_orders(ensemble, values, seed=0, fixed=fixed)
    assert check is not None
    assert check.n_rows == 80
    assert check.disagreement >= abs(check.loss)
    assert (check.particles is None) is not fixed
    assert check.better in ("orderings", "particles")
    assert check == check_orders(ensemble, values, seed=0, fixed=fixed)
    assert check_orders(ensemble_of(mixed_model(["real"])), values[:, :1], 0, fixed=True) is None


def test_particles_estimate_the_conditional_of_the_trained_orderings() -> None:
    """On a single member whose ordering has the evidence first, both ways are the same."""
    from made.queries.trained import _by_particles

    model = mixed_model(["grades", "stars", "binary"])
    ensemble = Ensemble.mixture(model, model.connectivity_source(1, None).members(1))
    order = ensemble.members[0].order.tolist()
    rows = some_rows(model.columns, 20)
    exact = conditional_of_rows(ensemble, order[1], rows, [order[0]])
    ours = _by_particles(ensemble, rows, [order[0]], order[1], seed=0)
    expected = exact.log_prob_of_values(rows[:, order[1]])
    assert ours == pytest.approx(expected, abs=1e-4)
