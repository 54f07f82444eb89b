"""log Z: limits that cover the truth at their level, however the draws are stopped."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from cases import every_row, random_model
from made.ensemble import Certificate, Certification, Combination, Members, certify
from made.ensemble.confidence import ConfidenceSequence
from made.ensemble.draws import Annealing
from made.ensemble.normalizer import _collect, enumerate_log_normalizer, n_possible_rows
from made.errors import ModelFileError, OptionError
from made.progress import NoProgress

N_COLUMNS = 5


def members_of(scale: float, n_members: int = 4, n_columns: int = N_COLUMNS) -> Members:
    """Return members of a random network whose weights are made larger: they differ more."""
    model = random_model(n_columns, seed=3, hidden=(12,))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    return Members([(model, model.connectivity_source(0, None).members(n_members))])


TERMS = {
    "uniform": lambda random, n: random.random(n),
    "two points": lambda random, n: (random.random(n) < 0.1).astype(float),
    "skewed": lambda random, n: random.random(n) ** 12,
    "nearly one": lambda random, n: 1 - 0.01 * random.random(n),
    "beta": lambda random, n: random.beta(0.3, 1.2, n),
}
MEANS = {"uniform": 0.5, "two points": 0.1, "skewed": 1 / 13, "nearly one": 0.995, "beta": 0.2}


@pytest.mark.parametrize("kind", TERMS)
def test_the_interval_covers_when_draws_stop_as_soon_as_it_is_narrow(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("made.ensemble.normalizer._BATCH_ROWS", 128)
    covered, stops = 0, set()
    for trial in range(400):
        random = np.random.default_rng(trial)
        sequence = ConfidenceSequence(0.95)
        how = Certification(width=0.5, max_draws=6000)
        _collect(sequence, lambda _, n, r=random: TERMS[kind](r, n), how, 0.0, NoProgress())
        lower, upper = sequence.interval()
        covered += lower <= MEANS[kind] <= upper
        stops.add(sequence.n_terms)
    assert covered >= 0.93 * 400
    # The stopping was adaptive: not every run had the same draws (or all stopped at once).
    assert len(stops) > 1 or kind in ("nearly one", "uniform")


def test_the_interval_of_an_ensemble_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("made.ensemble.normalizer._BATCH_ROWS", 32)
    members, combination = members_of(1.0), Combination.uniform(4, 0.0)
    exact = enumerate_log_normalizer(members, combination)
    found = [
        certify(members, combination, Certification(0.3, seed=seed, method="importance"))
        for seed in range(150)
    ]
    covered = sum(one.lower <= exact <= one.upper for one in found)
    assert covered >= 0.93 * len(found)
    assert all(one.width <= 0.3 for one in found)
    assert len({one.n_draws for one in found}) > 1
    # With the draws fixed beforehand the estimate is unbiased.
    how = Certification(1e-3, method="importance", max_draws=256)
    values = np.exp(
        [
            certify(members, combination, replace(how, seed=seed)).log_normalizer
            for seed in range(60)
        ]
    )
    error = values.std(ddof=1) / math.sqrt(len(values))
    assert abs(values.mean() - math.exp(exact)) < 5 * error


def test_a_narrower_interval_takes_more_draws_and_a_higher_level_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("made.ensemble.normalizer._BATCH_ROWS", 128)
    members, combination = members_of(1.0), Combination.uniform(4, 0.0)
    how = Certification(0.1, seed=1, method="importance")
    draws = [
        certify(members, combination, one).n_draws
        for one in (how, replace(how, width=0.03), replace(how, width=0.03, level=0.999))
    ]
    assert draws[0] < draws[1] < draws[2]


def test_chains_are_unbiased_and_covered_where_z_is_small(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("made.ensemble.normalizer._STAGES_PER_NAT", 1.0)
    members, combination = members_of(2.8, n_members=8, n_columns=8), Combination.uniform(8, 0.0)
    exact = enumerate_log_normalizer(members, combination)
    assert math.exp(exact) < 1e-3
    log_weights = Annealing(members, combination, 24).run(0, 6000, seed=5)[1]
    assert (log_weights <= 0).all()
    terms = np.exp(log_weights)
    assert abs(terms.mean() - math.exp(exact)) < 5 * terms.std(ddof=1) / math.sqrt(len(terms))
    how = Certification(method="annealing", max_draws=300, width=0.5)
    found = [certify(members, combination, replace(how, seed=seed)) for seed in range(40)]
    assert sum(one.lower <= exact <= one.upper for one in found) >= 0.93 * len(found)
    assert found[0].n_stages >= 4


def test_auto_anneals_where_the_direct_terms_vary_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("made.ensemble.normalizer._MAX_ENUMERATED", 10)
    members, combination = members_of(3.2, n_members=6, n_columns=8), Combination.uniform(6, 0.0)
    how = Certification(max_draws=4096)
    assert certify(members, combination, how).method == "annealing"
    assert certify(members_of(1.0), Combination.uniform(4, 0.5), how).method == "importance"


def test_few_columns_are_counted() -> None:
    members, combination = members_of(1.0), Combination.uniform(4, 0.0)
    certificate = certify(members, combination, Certification())
    log_means = combination.log_mean(members.log_probs(every_row(N_COLUMNS)))
    assert certificate.log_normalizer == pytest.approx(np.logaddexp.reduce(log_means), abs=1e-12)
    assert certificate.is_exact
    assert certificate.width == 0
    assert certificate.n_draws == n_possible_rows(members) == 2**N_COLUMNS


def test_a_budget_that_ends_early_gives_a_wide_honest_interval() -> None:
    members, combination = members_of(1.0), Combination.uniform(4, 0.0)
    exact = enumerate_log_normalizer(members, combination)
    for how in (
        Certification(1e-4, method="importance", max_draws=500),
        Certification(1e-4, method="importance", max_seconds=0.0),
        Certification(1e-4, method="annealing", max_draws=50),
    ):
        certificate = certify(members, combination, how)
        assert not certificate.is_narrow_enough
        assert certificate.lower < exact < certificate.upper


def test_mistakes() -> None:
    many = random_model(40)
    members = Members([(many, many.connectivity_source(0, None).members(2))])
    with pytest.raises(OptionError, match="too many to enumerate"):
        certify(members, Combination.uniform(2, 0.0), Certification(method="enumeration"))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"width": 0.0}, "width"),
        ({"level": 1.0}, "level"),
        ({"max_draws": 0}, "max_draws"),
        ({"max_draws": 10**9}, "max_draws"),
        ({"method": "guess"}, "method"),
        ({"seed": -1}, "seed"),
    ]
    for wrong, said in cases:
        with pytest.raises(OptionError, match=said):
            Certification(**wrong)


def test_a_certificate_is_data() -> None:
    stored = Certificate("importance", -0.5, -0.51, -0.49, 0.95, 5000, 0, 0.0, 3, 0.02)
    assert Certificate.from_json(asdict(stored)) == stored
    for change in (
        {"upper": 0.1},
        {"lower": -0.4},
        {"method": "guess"},
        {"level": 0.0},
        {"n_draws": -1},
        {"n_draws": True},
        {"seed": "x"},
        {"upper": None},
        {"more": 1},
    ):
        with pytest.raises(ModelFileError, match="certificate"):
            Certificate.from_json(asdict(stored) | change)
    with pytest.raises(ModelFileError, match="certificate"):
        Certificate.from_json([stored])
