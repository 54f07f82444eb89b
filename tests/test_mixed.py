"""Tables of mixed columns: what is exact for bits is exact for them too."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

import made.ordered.stepwise as stepwise
from cases import COLUMNS, NETWORKS, mixed_model, some_rows
from made.columns import NumericColumn
from made.ensemble import Combination, Ensemble, Members
from made.errors import OptionError
from made.model import Model
from made.ordered import OrderedCache, sample_ordered, sample_reference
from made.orderings import Connectivity, with_first

COUNTABLE = ["binary", "binary of texts, missing", "grades", "rare levels", "one level", "no level"]
NUMBERS = sorted(name for name, column in COLUMNS.items() if isinstance(column, NumericColumn))
# Of these a draw is right to within float32 of the scale that it was drawn on.
SMOOTH = [name for name in NUMBERS if name not in ("large integers", "instants", "outlier", "tiny")]


def members_of(model: Model, n_members: int = 4) -> Members:
    source = model.connectivity_source(seed=1, n_orderings=None)
    return Members([(model, source.members(n_members))])


def every_outcome(model: Model) -> np.ndarray:
    outcomes = [column.outcomes for column in model.columns]
    return np.array(list(itertools.product(*(o for o in outcomes if o is not None))))


def scores(model: Model, member: Connectivity, rows: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.log_prob(model.codes(rows).float(), model.network.wire(member)).numpy()


def integral(model: Model, member: Connectivity, d: int, rest: np.ndarray) -> float:
    """Return the sum over all cells of numeric column d, the others fixed at ``rest``."""
    column = model.columns[d]
    assert isinstance(column, NumericColumn)
    low, high = column.score_limits
    if column.discrete:
        first, last = column.inverse(np.clip([low, high], -20, 20))
        points = np.arange(np.ceil(first - 1), np.floor(last + 1) + 1)
        inside = (points >= (column.low or -np.inf)) & (points <= (column.high or np.inf))
        points, widths = points[inside], np.ones(inside.sum())
    else:
        near, far = np.linspace(-8, 8, 1200), np.linspace(-60, 60, 300)
        edges = np.unique(np.clip([low, *column.scores, *near, *far, high], -60, 60))
        edges = edges[(edges >= low) & (edges <= high)]
        nodes, node_weights = np.polynomial.legendre.leggauss(12)
        half = np.diff(edges)[:, None] / 2
        grid = edges[:-1, None] + half * (nodes + 1)
        points = column.inverse(grid.ravel())
        widths = (half * node_weights).ravel() * np.exp(-column.log_slope(points))
        points, widths = (
            np.append(points, column.atoms),
            np.append(widths, np.ones(len(column.atoms))),
        )
    if column.missing:
        points, widths = np.append(points, np.nan), np.append(widths, 1.0)
    rows = np.repeat(rest[None], len(points), axis=0)
    rows[:, d] = points
    return float((np.exp(scores(model, member, rows)) * widths).sum())


@pytest.mark.parametrize("name", NETWORKS)
def test_countable_tables_sum_to_one(name: str) -> None:
    model = mixed_model(COUNTABLE, **NETWORKS[name])
    rows = every_outcome(model)
    members = members_of(model)
    total = np.exp(Ensemble(members).log_prob(torch.as_tensor(rows))).sum()
    assert total == pytest.approx(1, abs=1e-5)
    for member in members.networks[0][1][:2]:
        assert np.exp(scores(model, member, rows)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "number",
    ["real, holes", "price", "share", "real gains", "counts", "stars", "no limits"],
)
def test_a_number_and_a_category_integrate_to_one(number: str) -> None:
    model = mixed_model(["rare levels", number], seed=2, noise=0.1)
    for member in members_of(model).networks[0][1]:
        total = sum(
            integral(model, member, 1, np.array([level, 0.0])) for level in (*range(8), np.nan)
        )
        assert total == pytest.approx(1, abs=1e-5)


def test_two_numbers_with_missing_cells_integrate_to_one() -> None:
    model = mixed_model(["real, holes", "stars"], seed=3, noise=0.1)
    member = members_of(model).networks[0][1][0]
    stars = [*range(1, 6), np.nan]
    total = sum(integral(model, member, 0, np.array([0.0, star])) for star in stars)
    assert total == pytest.approx(1, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=7, unique=True),
    network=st.sampled_from(sorted(NETWORKS)),
    seed=st.integers(0, 100),
)
def test_no_conditional_depends_on_a_later_column(
    names: list[str], network: str, seed: int
) -> None:
    model = mixed_model(names, seed, **NETWORKS[network])
    member = model.connectivity_source(seed, None).training(0)
    wiring = model.network.wire(member)
    rows, others = some_rows(model.columns, 5, seed), some_rows(model.columns, 5, seed + 1)
    with torch.no_grad():
        before = model.log_conditionals(model.codes(rows).float(), wiring)
        for step in range(len(names)):
            changed = rows.copy()
            changed[:, member.order[step:]] = others[:, member.order[step:]]
            after = model.log_conditionals(model.codes(changed).float(), wiring)
            earlier = torch.as_tensor(member.order[:step])
            torch.testing.assert_close(after[:, earlier], before[:, earlier], rtol=0, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    names=st.lists(st.sampled_from(COUNTABLE + SMOOTH), min_size=1, max_size=8, unique=True),
    network=st.sampled_from(sorted(NETWORKS)),
    n_rows=st.integers(0, 40),
    n_known=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
def test_fast_draws_equal_the_reference(
    names: list[str], network: str, n_rows: int, n_known: int, seed: int
) -> None:
    model = mixed_model(names, seed, **NETWORKS[network])
    n_known = min(n_known, len(names) - 1)
    uniforms = np.random.default_rng(seed).random((n_rows, len(names)))
    source = model.connectivity_source(seed, None)
    for member in (source.training(0), with_first(source.training(1), range(n_known))):
        expected = sample_reference(model, member, uniforms)
        known = expected[:, member.order[:n_known]]
        drawn = sample_ordered(OrderedCache(model), member, uniforms, known)
        assert drawn.dtype == expected.dtype
        for d, column in enumerate(model.columns):
            ours, theirs = drawn[:, d], expected[:, d]
            if isinstance(column, NumericColumn):
                ours, theirs = column.transform(ours), column.transform(theirs)
            near = np.isclose(ours, theirs, rtol=0, atol=2e-3, equal_nan=True)
            # A uniform at the border of two outcomes may fall to either side.
            assert (~near).sum() <= 1


def test_each_unit_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mixed_model(["grades", "counts", "real, holes", "binary", "rare levels"])
    computed: dict[int, list[int]] = {}
    finish = stepwise._Walk.finish

    def counting(walk: Any, layer: int, units: slice) -> None:
        computed.setdefault(layer, []).extend(range(units.start, units.stop))
        finish(walk, layer, units)

    monkeypatch.setattr(stepwise._Walk, "finish", counting)
    member = members_of(model).networks[0][1][0]
    sample_ordered(OrderedCache(model), member, np.random.default_rng(0).random((7, 5)))
    # A unit that only the last column could see is needed by no output.
    for layer, width in enumerate(model.config.hidden):
        assert sorted(computed[layer]) == list(range(width))


def test_draws_follow_the_probabilities() -> None:
    model = mixed_model(["binary of texts, missing", "grades", "stars"], seed=5)
    members = members_of(model)
    drawn = Ensemble(members).sample(20_000, seed=3)
    # A grade that was never seen is not drawn: the others share its mass.
    rows = np.array(list(itertools.product([0, 1, np.nan], range(3), [*range(1, 6), np.nan])))
    probabilities = np.exp(Ensemble(members).log_prob(torch.as_tensor(rows)))
    assert probabilities.sum() == pytest.approx(model.columns[1].known_mass, abs=1e-5)
    probabilities /= probabilities.sum()
    counts = [
        int(np.all((drawn == row) | (np.isnan(drawn) & np.isnan(row)), axis=1).sum())
        for row in rows
    ]
    assert sum(counts) == len(drawn)
    often = probabilities * len(drawn) >= 5
    observed = np.append(np.array(counts)[often], np.array(counts)[~often].sum())
    expected = np.append(probabilities[often], probabilities[~often].sum()) * len(drawn)
    if often.all():
        observed, expected = observed[:-1], expected[:-1]
    assert chisquare(observed, expected).pvalue > 1e-3


@settings(max_examples=25, deadline=None)
@given(unknown=st.sets(st.integers(0, 5), max_size=6), seed=st.integers(0, 50))
def test_observed_cells_have_the_probability_of_their_marginal(
    unknown: set[int], seed: int
) -> None:
    model = mixed_model(COUNTABLE, seed)
    members = members_of(model, 3)
    observed = np.array([d not in unknown for d in range(len(COUNTABLE))])
    row = some_rows(model.columns, 1, seed)
    ensemble = Ensemble(members)
    ours = ensemble.log_prob_of_observed(torch.as_tensor(row), observed[None])
    same = members.with_first(np.flatnonzero(observed))
    outcomes = every_outcome(model)
    agree = (outcomes == row) | (np.isnan(outcomes) & np.isnan(row))
    matching = outcomes[agree[:, observed].all(axis=1)]
    summed = np.logaddexp.reduce(Ensemble(same).log_prob(torch.as_tensor(matching)))
    assert ours[0] == pytest.approx(summed, abs=1e-5)


def test_a_product_cannot_leave_cells_out() -> None:
    members = members_of(mixed_model(["grades", "counts"]))
    ensemble = Ensemble(members, Combination(np.full(4, 0.25), power=0.0))
    with pytest.raises(OptionError, match="alone needs a mixture"):
        ensemble.log_prob_of_observed(torch.zeros(1, 2), np.array([[True, False]]))


def test_mean_log_conditionals_add_up_to_the_mean_member() -> None:
    names = ["grades", "counts", "real, holes", "rare levels"]
    members = members_of(mixed_model(names))
    rows = torch.as_tensor(some_rows(members.models[0].columns, 30))
    weights = np.array([0.5, 0.3, 0.2, 0.0])
    terms = members.mean_log_conditionals(rows, weights)
    expected = members.log_probs(rows)[:, :3] @ weights[:3]
    np.testing.assert_allclose(terms.sum(axis=1), expected, rtol=1e-5)


def test_an_impossible_row_has_no_probability() -> None:
    members = members_of(mixed_model(["price", "grades"]))
    log_prob = Ensemble(members).log_prob(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double())
    assert log_prob[0] == -np.inf
    assert np.isfinite(log_prob[1])


def test_classes_in_a_space_sum_to_one_and_are_drawn_as_their_reference() -> None:
    model = mixed_model(["grades", "very many levels"])
    assert list(model.points) == ["1"]
    rows = every_outcome(model)
    member = members_of(model).networks[0][1][0]
    assert np.exp(scores(model, member, rows)).sum() == pytest.approx(1, abs=1e-5)
    uniforms = np.random.default_rng(0).random((50, 2))
    drawn = sample_ordered(OrderedCache(model), member, uniforms)
    assert (drawn == sample_reference(model, member, uniforms)).all()
