"""Combinations: power means, their bounds, and ensembles whose probabilities sum to 1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cases import every_row, random_model
from made.ensemble import Certification, Combination, Ensemble, Members
from made.ensemble.combination import power_mean
from made.errors import OptionError

N_COLUMNS = 6


def two_networks(n_columns: int = N_COLUMNS) -> Members:
    first = random_model(n_columns, seed=1, hidden=(15,))
    second = random_model(n_columns, seed=2, hidden=(9, 12))
    return Members(
        [
            (first, first.connectivity_source(0, None).members(5)),
            (second, second.connectivity_source(4, None).members(3)),
        ]
    )


MEMBERS = two_networks()
LOG_PROBS = MEMBERS.log_probs(every_row(N_COLUMNS))


@st.composite
def combinations(draw: st.DrawFn, n_members: int = 8) -> Combination:
    """Draw weights, some of them zero, a power, and perhaps branches."""
    raw = np.array(draw(st.lists(st.integers(0, 9), min_size=n_members, max_size=n_members)))
    raw = raw + (raw.sum() == 0)
    powers = st.one_of(st.sampled_from([0.0, 1.0, 1e-9, 1e-4]), st.floats(0, 1))
    branches = None
    if draw(st.booleans()):
        branches = np.array(
            draw(st.lists(st.integers(0, 3), min_size=n_members, max_size=n_members))
        )
    return Combination(raw / raw.sum(), draw(powers), branches, draw(powers))


@given(combinations())
def test_probabilities_of_all_rows_sum_to_one(combination: Combination) -> None:
    ensemble = Ensemble(MEMBERS, combination)
    ensemble.certify(Certification())
    assert ensemble.is_exact
    assert np.exp(ensemble.log_prob(every_row(N_COLUMNS))).sum() == pytest.approx(1, abs=1e-5)


@given(combinations())
def test_no_combination_is_above_its_mixture(combination: Combination) -> None:
    used = LOG_PROBS[:, combination.support]
    mixture = combination.mixture().log_mean(used)
    assert (combination.log_mean(used) <= mixture + 1e-9).all()
    assert (combination.log_ratio(used) <= 0).all()
    # On the way from the mixture it only falls.
    way = [combination.between(fraction).log_mean(used) for fraction in (0.0, 0.3, 0.7, 1.0)]
    for above, below in itertools.pairwise(way):
        assert (below <= above + 1e-9).all()


@given(combinations(), st.lists(st.integers(1, 9), min_size=8, max_size=8))
def test_the_bound_for_other_weights_holds(combination: Combination, other: list[int]) -> None:
    proposal = np.array(other) / sum(other)
    used = LOG_PROBS[:, combination.support]
    log_proposal = power_mean(LOG_PROBS, proposal, 1.0)
    ratio = combination.log_mean(used) - log_proposal
    assert (ratio <= combination.log_bound(proposal) + 1e-9).all()
    assert combination.log_bound(combination.weights) == pytest.approx(0, abs=1e-9)


def test_a_proposal_that_leaves_a_member_out_bounds_nothing() -> None:
    proposal = np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    assert Combination.uniform(8, 0.5).log_bound(proposal) == np.inf


@pytest.mark.parametrize("power", [0.0, 1e-12, 1e-7, 1e-4, 9.9e-4, 1.1e-3, 0.3, 1.0])
def test_power_means_by_hand(power: float) -> None:
    random = np.random.default_rng(0)
    values, weights = random.uniform(0.1, 3, size=(50, 4)), np.array([0.1, 0.2, 0.3, 0.4])
    if power < 1e-6:
        by_hand = np.exp(np.log(values) @ weights)  # The limit is the geometric mean.
    else:
        by_hand = ((values**power) @ weights) ** (1 / power)
    np.testing.assert_allclose(
        np.exp(power_mean(np.log(values), weights, power)), by_hand, rtol=1e-6
    )


def test_members_that_exclude_a_row() -> None:
    logs = np.array([[-np.inf, -1.0], [-np.inf, -np.inf], [-2.0, -1.0]])
    halves = np.array([0.5, 0.5])
    assert power_mean(logs, halves, 0.0)[:2].tolist() == [-np.inf, -np.inf]
    mixture = power_mean(logs, halves, 1.0)
    np.testing.assert_allclose(mixture[0], np.log(0.5) - 1)
    assert mixture[1] == -np.inf
    assert power_mean(logs, halves, 0.5)[0] == pytest.approx(2 * np.log(0.5) - 1)


def test_far_from_one_nothing_over_or_underflows() -> None:
    logs = np.array([[-5000.0, -5001.0], [4000.0, 3000.0]])
    for power in (0.0, 1e-9, 0.2, 1.0):
        means = power_mean(logs, np.array([0.5, 0.5]), power)
        assert np.isfinite(means).all()
        assert ((means >= logs.min(axis=1)) & (means <= logs.max(axis=1))).all()


def test_the_product_gains_log_z_over_its_mean_member() -> None:
    rows = every_row(N_COLUMNS)[::3]
    for weights in (np.full(8, 1 / 8), np.array([0.4, 0.3, 0, 0.1, 0, 0.1, 0.05, 0.05])):
        ensemble = Ensemble(MEMBERS, Combination(weights, 0.0))
        log_z = ensemble.certify(Certification()).log_normalizer
        mean_member = MEMBERS.log_probs(rows).mean(axis=0) @ weights
        assert ensemble.log_prob(rows).mean() == pytest.approx(mean_member - log_z, abs=1e-6)


@pytest.mark.parametrize(
    "combination",
    [
        Combination.uniform(8, 0.0),
        Combination.uniform(8, 0.5),
        Combination(np.full(8, 1 / 8), 0.0, np.arange(8) // 4),
        Combination(np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0]), 0.2),
    ],
    ids=lambda combination: combination.name,
)
def test_draws_follow_the_distribution(combination: Combination) -> None:
    ensemble = Ensemble(MEMBERS, combination)
    ensemble.certify(Certification())
    n_rows = 8000
    expected = n_rows * np.exp(ensemble.log_prob(every_row(N_COLUMNS)))
    codes = 2 ** np.arange(N_COLUMNS - 1, -1, -1)
    for draw in (ensemble.sample, ensemble.sample_annealed):
        counts = np.bincount((draw(n_rows, seed=1) @ codes).astype(int), minlength=2**N_COLUMNS)
        rare = expected < 5
        seen, wanted = counts[~rare].tolist(), expected[~rare].tolist()
        if rare.any():
            seen.append(counts[rare].sum())
            wanted.append(expected[rare].sum())
        p_value = stats.chisquare(seen, np.array(wanted) * n_rows / sum(wanted)).pvalue
        assert p_value > 1e-4


@pytest.mark.parametrize("power", [1.0, 0.3])
def test_a_row_depends_on_the_seed_and_its_number_alone(
    power: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble = Ensemble(MEMBERS, Combination.uniform(8, power))
    ensemble.certify(Certification())
    whole = ensemble.sample(300, seed=7)
    assert np.array_equal(ensemble.sample(5, seed=7, first_row=290), whole[290:295])
    annealed = ensemble.sample_annealed(60, seed=7)
    assert np.array_equal(ensemble.sample_annealed(3, seed=7, first_row=50), annealed[50:53])
    monkeypatch.setattr("made.ensemble.ensemble._DRAW_ROWS", (64, 64))
    assert np.array_equal(ensemble.sample(300, seed=7), whole)
    assert not np.array_equal(ensemble.sample(300, seed=8), whole)


def test_pruned_members_are_neither_scored_nor_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.array([0.5, 0, 0, 0, 0, 0, 0.5, 0])
    scored: list[int] = []
    drawn: list[int] = []
    score, draw = Members.log_probs, Members.draw

    def watch_score(self: Members, values, which=None, progress=None):  # type: ignore[no-untyped-def]
        scored.extend(range(8) if which is None else which.tolist())
        return score(self, values, which, progress)

    def watch_draw(self: Members, chosen, uniforms):  # type: ignore[no-untyped-def]
        drawn.extend(chosen.tolist())
        return draw(self, chosen, uniforms)

    monkeypatch.setattr(Members, "log_probs", watch_score)
    monkeypatch.setattr(Members, "draw", watch_draw)
    ensemble = Ensemble(MEMBERS, Combination(weights, 0.5))
    ensemble.certify(Certification(method="importance", width=0.5))
    ensemble.log_prob(every_row(N_COLUMNS))
    ensemble.sample(500, seed=0)
    assert set(scored) == {0, 6}
    assert set(drawn) == {0, 6}


def test_exact_draws_that_would_take_for_ever_are_refused() -> None:
    ensemble = Ensemble(MEMBERS, Combination.uniform(8, 0.0))
    certificate = ensemble.certify(Certification())
    hopeless = Ensemble(
        MEMBERS,
        ensemble.combination,
        type(certificate)(**{**vars(certificate), "log_normalizer": -20.0, "lower": -21.0}),
    )
    with pytest.raises(OptionError, match='method="annealed"'):
        hopeless.sample(1, seed=0)
    assert hopeless.sample_annealed(3, seed=0).shape == (3, N_COLUMNS)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([0.5, 0.6], "sum to 1"),
        ([1.5, -0.5], "non-negative"),
        ([0.0, 0.0], "pruned"),
        ([np.nan, 1.0], "non-negative"),
        ([], "list of numbers"),
        ([[1.0]], "list of numbers"),
    ],
)
def test_weights_that_cannot_be(weights: list, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        Combination(np.array(weights))


@pytest.mark.parametrize("power", [-0.1, 1.1, np.nan, "half", True])
def test_powers_that_cannot_be(power: object) -> None:
    with pytest.raises(OptionError, match="power must"):
        Combination.uniform(2, power)  # type: ignore[arg-type]


def test_other_mistakes() -> None:
    with pytest.raises(OptionError, match="8 members and 2 weights"):
        Ensemble(MEMBERS, Combination.uniform(2))
    with pytest.raises(OptionError, match="numbers of branches"):
        Combination(np.full(4, 0.25), 0.0, np.array([0, 1]))
    with pytest.raises(OptionError, match="Certify it first"):
        Ensemble(MEMBERS, Combination.uniform(8, 0.5)).log_prob(every_row(N_COLUMNS))
    with pytest.raises(OptionError, match="normalizer must be"):
        Ensemble(MEMBERS).log_prob(every_row(N_COLUMNS), normalizer="lower")  # type: ignore[arg-type]
    narrow = random_model(N_COLUMNS - 1)
    with pytest.raises(OptionError, match="different columns"):
        Members([*MEMBERS.networks, (narrow, narrow.connectivity_source(0, None).members(1))])
    with pytest.raises(OptionError, match="at least one member"):
        Members([(narrow, [])])


def test_names_say_what_is_combined() -> None:
    branches = np.array([0, 0, 1, 1])
    quarter = np.full(4, 0.25)
    assert Combination(quarter).name == "mixture"
    assert Combination(quarter, 0.0).name == "product of experts"
    assert Combination(quarter, 0.25).name == "power mean 0.25"
    assert Combination(quarter, 0.0, branches).name == "product of 2 mixtures"
    # One member, or branches that come to nothing, are normalised as they are.
    assert Combination(np.array([0, 1.0, 0, 0]), 0.0).is_mixture
    assert Combination(quarter, 0.0, np.zeros(4)).is_mixture
    assert not Combination(quarter, 0.0, np.zeros(4), 0.5).is_mixture
    assert not Combination(quarter, 1.0, branches, 0.5).is_mixture
