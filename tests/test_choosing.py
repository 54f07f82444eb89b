"""Choosing, pooling and verifying combinations: what is kept, and what is said of it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import made
from cases import every_row, random_model
from made.choosing import Choice, choose_combination, parse_method
from made.combining import Verification
from made.ensemble import Certificate, Certification, Combination, Ensemble, Members
from made.errors import DataError, MadeNotice, OptionError

N_COLUMNS = 6
BITS = np.random.default_rng(0).integers(0, 2, size=(80, N_COLUMNS))
QUICK: dict[str, Any] = {
    "hidden": (8,), "members": 4, "max_epochs": 2, "threads": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def members() -> Members:
    model = random_model(N_COLUMNS, seed=1, hidden=(15, 15))
    return Members([(model, model.connectivity_source(0, None).members(5))])


def drawn(members: Members, combination: Combination, n_rows: int) -> torch.Tensor:
    """Return rows of a combination, by enumeration."""
    rows = every_row(N_COLUMNS)
    log_means = combination.log_mean(members.log_probs(rows, combination.support))
    shares = np.exp(log_means - np.logaddexp.reduce(log_means))
    picked = np.random.default_rng(0).choice(len(rows), size=n_rows, p=shares)
    return rows[torch.as_tensor(picked)]


def kept(choice: Choice) -> str:
    chosen = [line.name for line in choice.candidates if line.chosen]
    assert len(chosen) == 1
    return chosen[0]


def test_auto_keeps_the_mixture_where_rows_come_from_it(members: Members) -> None:
    uniform = Combination.uniform(5)
    choice = choose_combination(members, drawn(members, uniform, 3000))
    assert kept(choice) == "mixture, equal weights"
    assert choice.ensemble.is_exact
    assert choice.ensemble.certificate.log_normalizer == 0
    np.testing.assert_allclose(choice.scores, choice.mixture_scores, atol=1e-12)


def test_auto_finds_the_product_where_rows_come_from_it(members: Members) -> None:
    product = Combination.uniform(5, 0.0)
    choice = choose_combination(members, drawn(members, product, 3000))
    line = next(line for line in choice.candidates if line.chosen)
    assert choice.ensemble.power < 0.5
    assert line.difference > line.standard_error > 0
    assert choice.scores.mean() > choice.mixture_scores.mean()
    # Few columns: the normaliser is counted, and the probabilities of all rows sum to 1.
    assert choice.ensemble.is_exact
    total = np.exp(choice.ensemble.log_prob(every_row(N_COLUMNS))).sum()
    assert total == pytest.approx(1, abs=1e-5)


def test_auto_finds_the_members_that_wrote_the_rows(members: Members) -> None:
    one = Combination(np.array([0.0, 0.0, 1.0, 0.0, 0.0]))
    choice = choose_combination(members, drawn(members, one, 3000))
    assert choice.ensemble.weights.argmax() == 2
    assert choice.ensemble.weights[2] > 0.5


@pytest.mark.parametrize(
    ("method", "power"), [("mixture", 1.0), ("em", 1.0), ("product", 0.0), ("power=0.7", 0.7)]
)
def test_a_method_that_is_named_is_kept(members: Members, method: str, power: float) -> None:
    valid = drawn(members, Combination.uniform(5), 200)
    choice = choose_combination(members, valid, method)
    assert choice.ensemble.power == power
    assert kept(choice) == choice.candidates[-1].name
    total = np.exp(choice.ensemble.log_prob(every_row(N_COLUMNS))).sum()
    assert total == pytest.approx(1, abs=1e-5)


def test_learned_weights_are_scored_by_folds_that_did_not_see_the_row(members: Members) -> None:
    valid = drawn(members, Combination.uniform(5), 30)
    choice = choose_combination(members, valid, "em")
    inside = choice.ensemble.log_prob(valid).mean()
    assert choice.scores.mean() < inside
    assert choice.gap is not None
    assert 0 <= choice.gap < 0.01


def test_one_member_and_one_row(members: Members) -> None:
    alone = Members([(members.models[0], [members[0]])])
    assert kept(choose_combination(alone, every_row(N_COLUMNS)[:9])) == "mixture, equal weights"
    choice = choose_combination(members, every_row(N_COLUMNS)[:1])
    assert np.isfinite(choice.scores).all()


def test_no_rows_to_choose_by(members: Members) -> None:
    with pytest.raises(DataError, match="there are none"):
        choose_combination(members, every_row(N_COLUMNS)[:0])


@pytest.mark.parametrize("method", ["best", "power", "power=", "power=x", "power=2", "em=1", ""])
def test_methods_that_do_not_exist(method: str) -> None:
    with pytest.raises(OptionError, match="power"):
        parse_method(method)


def test_a_width_that_the_budget_cannot_reach_is_no_silent_number(members: Members) -> None:
    how = Certification(max_draws=2000, method="importance")
    valid = drawn(members, Combination.uniform(5), 100)
    choice = choose_combination(members, valid, "product", how, width=1e-5)
    certificate = choice.ensemble.certificate
    assert not certificate.is_narrow_enough
    assert certificate.n_draws == 2000
    exact = Ensemble(members, choice.ensemble.combination).certify(Certification())
    assert certificate.lower < exact.log_normalizer < certificate.upper
    assert not choice.ensemble.is_exact


def test_fit_combines_and_the_file_keeps_it(tmp_path: Path) -> None:
    density = made.fit(BITS, combine="product", **QUICK)
    density.save(tmp_path / "m.made")
    loaded = made.load(tmp_path / "m.made")
    assert loaded.power == density.power == 0
    assert loaded.combination == "product of experts"
    assert loaded.certificate == density.certificate
    assert loaded.combined == density.combined
    assert np.array_equal(loaded.log_prob(BITS), density.log_prob(BITS))
    assert np.array_equal(loaded.sample(40, seed=3), density.sample(40, seed=3))
    assert np.exp(loaded.log_prob(every_row(N_COLUMNS).numpy())).sum() == pytest.approx(1, abs=1e-5)


def test_combine_takes_more_members() -> None:
    density = made.fit(BITS, combine="mixture", orderings="all", **QUICK)
    more = density.combine(BITS[:30], "mixture", members=9)
    assert (density.n_members, more.n_members) == (4, 9)
    first = more.member_log_probs(BITS)[:, :4]
    np.testing.assert_allclose(first, density.member_log_probs(BITS), atol=1e-5)
    few = made.fit(BITS, combine="mixture", orderings=4, **QUICK)
    with pytest.raises(OptionError, match="trained on 4 orderings"):
        few.combine(BITS[:30], members=9)


def test_rows_of_the_training_are_warned_about() -> None:
    with pytest.warns(MadeNotice, match="are the training rows"):
        made.fit(BITS, BITS, combine="mixture", **QUICK)
    density = made.fit(BITS[:60], BITS[60:], combine="mixture", **QUICK)
    with pytest.warns(MadeNotice, match="are the training rows"):
        density.combine(BITS[:60], "em")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        density.combine(BITS[60:], "em")


def test_pooled_models_are_one_density(tmp_path: Path) -> None:
    first = made.fit(BITS, combine="mixture", **QUICK)
    second = made.fit(BITS, combine="mixture", **(QUICK | {"hidden": (5, 7), "seed": 2}))
    pooled = made.pool([first, second])
    rows = every_row(N_COLUMNS).numpy()
    mean = 0.5 * (np.exp(first.log_prob(rows)) + np.exp(second.log_prob(rows)))
    np.testing.assert_allclose(np.exp(pooled.log_prob(rows)), mean, rtol=1e-5)
    again = pooled.combine(BITS[:40], "product")
    again.save(tmp_path / "m.made")
    assert np.exp(made.load(tmp_path / "m.made").log_prob(rows)).sum() == pytest.approx(1, abs=1e-5)
    assert any("product of 2" in line["name"] for line in pooled.combine(BITS).combined.candidates)


def test_pooling_needs_models_of_one_schema() -> None:
    density = made.fit(BITS, combine="mixture", **QUICK)
    other = made.fit(BITS[:, :4], combine="mixture", **QUICK)
    with pytest.raises(OptionError, match="different columns"):
        made.pool([density, other])
    with pytest.raises(OptionError, match="two models or more"):
        made.pool([density])


def test_verify(members: Members) -> None:
    density = made.fit(BITS, combine="product", **QUICK)
    assert density.verify().stands
    stored = Certificate(
        "importance", -0.5, -0.51, -0.49, 0.95, 5000, 0, 0.0, seed=0, width_asked=0.02
    )
    elsewhere = Certificate(
        "importance", -0.7, -0.71, -0.69, 0.95, 5000, 0, 0.0, seed=1, width_asked=0.02
    )
    assert Verification(stored, stored).stands
    assert not Verification(stored, elsewhere).stands
    assert not Verification(elsewhere, stored).stands


def test_the_same_seed_would_draw_the_same_rows() -> None:
    wide = np.random.default_rng(0).integers(0, 2, size=(60, 24))
    density = made.fit(wide, combine="product", **QUICK)
    assert not density.is_exact
    with pytest.raises(OptionError, match="another --seed"):
        density.verify(seed=0)
    assert density.verify(seed=5).stands
    upper, estimate = density.log_prob(wide), density.log_prob(wide, normalizer="estimate")
    gap = density.certificate.upper - density.certificate.log_normalizer
    np.testing.assert_allclose(estimate - upper, gap, atol=1e-12)
    assert gap > 0


@pytest.mark.parametrize("n_orderings", [None, 3])
def test_training_toward_the_mixture(n_orderings: int | None) -> None:
    options = QUICK | {"orderings": n_orderings or "all", "max_epochs": 6, "members": 3}
    density = made.fit(BITS, combine="mixture", orderings_per_step=3, **options)
    again = made.fit(BITS, combine="mixture", orderings_per_step=3, **options)
    assert np.array_equal(density.log_prob(BITS), again.log_prob(BITS))
    alone = made.fit(BITS, combine="mixture", **options)
    # The training nats of the history are of mixtures, which are above their mean member, and
    # from the second epoch on the weights are others.
    toward = [line["train"] for line in density.record.history]
    assert toward[0] >= alone.record.history[0]["train"]
    assert toward[1:] != [line["train"] for line in alone.record.history][1:]
    assert toward[-1] > toward[0]
