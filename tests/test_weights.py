"""Learned weights: EM and the simplex against independent convex solvers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from made.ensemble import Combination, learn_mixture, learn_product, mixture_gap
from made.errors import OptionError


def log_probs_of(seed: int, n_rows: int = 60, n_members: int = 5) -> np.ndarray:
    """Return log-probabilities of members that are each good at some rows."""
    random = np.random.default_rng(seed)
    return random.normal(-8, 1.5, size=(n_rows, n_members)) + random.normal(0, 0.5, n_members)


def mixture_log_likelihood(log_probs: np.ndarray, weights: np.ndarray) -> float:
    return float(Combination(weights).mixture().log_mean(log_probs[:, weights > 0]).mean())


def best_on_the_simplex(objective, n_members: int) -> float:  # type: ignore[no-untyped-def]
    """Return the largest value of a concave objective, by another solver."""
    found = optimize.minimize(
        lambda w: -objective(np.maximum(w, 1e-15)),
        np.full(n_members, 1 / n_members),
        method="SLSQP",
        bounds=[(0, 1)] * n_members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"maxiter": 500, "ftol": 1e-12},
    )
    return -float(found.fun)


@given(st.integers(0, 10**6), st.sampled_from([1.0, 1.5, 5.0]))
def test_em_never_lowers_its_objective(seed: int, concentration: float) -> None:
    learned = learn_mixture(log_probs_of(seed), concentration, tolerance=1e-6, max_steps=200)
    assert (np.diff(learned.objectives) >= -1e-12).all()
    assert learned.weights.sum() == pytest.approx(1)
    assert (learned.weights >= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_gap_bounds_the_distance_to_the_optimum(seed: int) -> None:
    log_probs = log_probs_of(seed)
    likelihoods = np.exp(log_probs)
    best = best_on_the_simplex(lambda w: np.log(likelihoods @ w).mean(), 5)
    for steps in (1, 3, 10, 5000):
        learned = learn_mixture(log_probs, tolerance=1e-5, max_steps=steps)
        assert learned.log_likelihood == pytest.approx(
            mixture_log_likelihood(log_probs, learned.weights), abs=1e-10
        )
        assert best <= learned.log_likelihood + learned.gap + 1e-7
        assert learned.log_likelihood <= best + 1e-7
    assert learned.gap <= 1e-5
    # Of any weights, not only of those at the end of EM.
    uneven = np.array([0.7, 0.3, 0, 0, 0])
    assert best <= mixture_log_likelihood(log_probs, uneven) + mixture_gap(log_probs, uneven)


def test_smoothing_moves_weights_towards_equal_ones() -> None:
    log_probs = log_probs_of(3)
    spreads = [np.ptp(learn_mixture(log_probs, c).weights) for c in (1.0, 3.0, 30.0, 3000.0)]
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < 0.01
    # The optimum of the penalised likelihood, by another solver.
    likelihoods = np.exp(log_probs)
    learned = learn_mixture(log_probs, 3.0, tolerance=1e-7)
    best = best_on_the_simplex(
        lambda w: np.log(likelihoods @ w).mean() + 2 * np.log(w).sum() / len(log_probs), 5
    )
    assert learned.objectives[-1] == pytest.approx(best, abs=1e-5)


@given(st.integers(0, 10**6), st.floats(0.01, 0.99), st.integers(1, 40))
def test_pruning_never_leaves_nothing(seed: int, concentration: float, n_rows: int) -> None:
    learned = learn_mixture(log_probs_of(seed, n_rows), concentration, max_steps=200)
    assert learned.weights.sum() == pytest.approx(1)
    assert (learned.weights > 0).any()


def test_pruning_drops_members_one_at_a_time() -> None:
    # Two members are the same: at the optimum they share, and both together must not be lost.
    log_probs = np.full((40, 3), -5.0)
    log_probs[:20, 0] = log_probs[:20, 1] = -1.0
    log_probs[20:, 2] = -1.0
    learned = learn_mixture(log_probs, 0.01)
    assert learned.weights[2] == pytest.approx(0.5, abs=0.05)
    assert learned.weights[:2].sum() == pytest.approx(0.5, abs=0.05)
    # With few rows to go round, light members leave and the good ones stay.
    many = log_probs_of(0, n_rows=30, n_members=20)
    full, sparse = learn_mixture(many), learn_mixture(many, 0.3)
    assert (sparse.weights > 0).sum() < (full.weights > 1e-9).sum() <= 20
    assert sparse.log_likelihood > many.mean(axis=0).max()


@pytest.mark.parametrize("concentration", [0.2, 1.0, 4.0])
def test_odd_inputs(concentration: float) -> None:
    one = learn_mixture(np.array([[-3.0], [-2.0]]), concentration)
    assert one.weights.tolist() == [1.0]
    assert one.gap == pytest.approx(0, abs=1e-12)
    single_row = learn_mixture(np.array([[-3.0, -1.0]]), concentration, max_steps=500)
    assert single_row.weights[1] >= 0.5
    excluded = np.array([[-np.inf, -1.0], [-2.0, -1.5], [-np.inf, -2.0]])
    learned = learn_mixture(excluded, concentration)
    assert np.isfinite(learned.log_likelihood)
    assert learned.weights[1] > 0.5
    with pytest.raises(OptionError, match="there are none"):
        learn_mixture(np.empty((0, 3)), concentration)


@pytest.mark.parametrize("concentration", [0.0, -1.0, np.nan, np.inf])
def test_concentrations_that_cannot_be(concentration: float) -> None:
    with pytest.raises(OptionError, match="concentration must be above 0"):
        learn_mixture(np.zeros((2, 2)), concentration)


def test_thousands_of_members_in_bounded_memory() -> None:
    log_probs = np.random.default_rng(0).normal(-80, 2, size=(4000, 3000))
    tracemalloc.start()
    learned = learn_mixture(log_probs, max_steps=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert learned.weights.shape == (3000,)
    # The matrix itself has 96 MB; what is held beside it does not grow with the rows.
    assert peak < 150e6
    assert learned.objectives[-1] > learned.objectives[0]


def product_objective(data: np.ndarray, drawn: np.ndarray, proposal: np.ndarray):  # type: ignore[no-untyped-def]
    mean = data.mean(axis=0)

    def objective(w: np.ndarray) -> float:
        terms = drawn @ w - proposal
        return float(mean @ w - np.logaddexp.reduce(terms) + np.log(len(terms)))

    return objective


@pytest.mark.parametrize("seed", range(6))
def test_weights_of_the_product_reach_the_optimum(seed: int) -> None:
    data, drawn = log_probs_of(seed), log_probs_of(seed + 100, n_rows=400)
    proposal = np.logaddexp.reduce(drawn, axis=1) - np.log(5)
    objective = product_objective(data, drawn, proposal)
    best = best_on_the_simplex(objective, 5)
    for steps in (1, 5, 2000):
        learned = learn_product(data, drawn, proposal, tolerance=1e-5, max_steps=steps)
        assert learned.log_likelihood == pytest.approx(objective(learned.weights), abs=1e-10)
        assert (np.diff(learned.objectives) >= 0).all()
        assert best <= learned.log_likelihood + learned.gap + 1e-6
        assert learned.log_likelihood <= best + 1e-6
    assert learned.gap <= 1e-4


def test_the_product_finds_the_weights_that_made_the_data() -> None:
    # All rows of a small table, each under the proposal "equally likely": Z is then exact.
    random = np.random.default_rng(0)
    tables = random.dirichlet(np.full(64, 0.5), size=3) + 1e-4
    tables /= tables.sum(axis=1, keepdims=True)
    logs = np.log(tables).T
    truth = np.array([0.6, 0.4, 0.0])
    density = np.exp(logs @ truth)
    density /= density.sum()
    rows = random.choice(64, size=20000, p=density)
    learned = learn_product(logs[rows], logs, np.full(64, -np.log(64)), tolerance=1e-6)
    np.testing.assert_allclose(learned.weights, truth, atol=0.05)
    with pytest.raises(OptionError, match="there are none"):
        learn_product(logs[:0], logs, np.zeros(64))
