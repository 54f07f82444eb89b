"""A fitted model against a Bayesian network whose probabilities are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import made
from made.demo import clinic

# A sample of 20,000 rows moves a probability by .01 at most; a short fit by some more, and most
# where little of the table is known.
NEAR, NEAR_OF_FEW = 0.05, 0.1


@pytest.fixture(scope="module")
def density() -> made.Density:
    table = pd.DataFrame(clinic.draw(20_000))
    return made.fit(
        table, hidden=(256,), direct_input=True, conditioning=True, learning_rate=3e-3,
        max_epochs=40, questions=True, threads=1, progress=False,
    )  # fmt: skip


def test_the_network_is_normalised() -> None:
    assert clinic.probability(lambda row: True) == pytest.approx(1)
    assert len(clinic.every_row()) == 2 * 3 * 2 * 2 * 2 * 3 * 2 * 3
    sums = sum(map(clinic._probability_of, clinic.every_row()))
    assert sums == pytest.approx(1)


EVENTS = {
    "a marginal": ("flu == 'yes'", None, lambda r: r["flu"] == "yes", None),
    "a cause of what is seen": (
        "flu == 'yes'", "fever == 'yes' and cough == 'dry'",
        lambda r: r["flu"] == "yes", lambda r: r["fever"] == "yes" and r["cough"] == "dry",
    ),
    "an effect of what is given": (
        "cough == 'wet'", "bronchitis == 'yes'",
        lambda r: r["cough"] == "wet", lambda r: r["bronchitis"] == "yes",
    ),
    "explaining away": (
        "smoker == 'yes'", "bronchitis == 'yes' and age != 'senior'",
        lambda r: r["smoker"] == "yes",
        lambda r: r["bronchitis"] == "yes" and r["age"] != "senior",
    ),
    "or, not, missing": (
        "test is missing or not (fever == 'yes' and flu == 'yes')", "season == 'winter'",
        lambda r: r["test"] is None or not (r["fever"] == "yes" and r["flu"] == "yes"),
        lambda r: r["season"] == "winter",
    ),
    "not equal is true of a missing cell": (
        "test != 'positive'", None, lambda r: r["test"] != "positive", None,
    ),
    "a set": (
        "age in ['child', 'senior']", "flu == 'yes' or bronchitis == 'yes'",
        lambda r: r["age"] in ("child", "senior"),
        lambda r: r["flu"] == "yes" or r["bronchitis"] == "yes",
    ),
    "missing as evidence": (
        "fever == 'yes'", "test is missing",
        lambda r: r["fever"] == "yes", lambda r: r["test"] is None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_events(density: made.Density, name: str) -> None:
    event, given, is_met, is_known = EVENTS[name]
    answer = density.probability(event, given)
    assert answer.exact
    near = NEAR_OF_FEW if name == "explaining away" else NEAR
    assert answer.value == pytest.approx(clinic.probability(is_met, is_known), abs=near)


def test_conditionals_in_either_direction(density: made.Density) -> None:
    found = density.conditional("season", given={"flu": "yes", "fever": "yes"})
    winter = clinic.probability(
        lambda r: r["season"] == "winter", lambda r: r["flu"] == r["fever"] == "yes"
    )
    assert found.probabilities["winter"] == pytest.approx(winter, abs=NEAR)
    many = density.conditional(
        "flu", given=pd.DataFrame({"season": ["winter", "summer"], "cough": ["dry", "none"]})
    )
    for row, season, cough in ((0, "winter", "dry"), (1, "summer", "none")):
        flu = clinic.probability(
            lambda r: r["flu"] == "yes",
            lambda r, s=season, c=cough: r["season"] == s and r["cough"] == c,
        )
        assert many.probabilities[row, 1] == pytest.approx(flu, abs=NEAR)


def test_draws_given_evidence(density: made.Density) -> None:
    drawn = density.sample(4000, given={"fever": "yes"}, seed=1)
    assert (drawn["fever"] == "yes").all()
    flu = clinic.probability(lambda r: r["flu"] == "yes", lambda r: r["fever"] == "yes")
    assert (drawn["flu"] == "yes").mean() == pytest.approx(flu, abs=NEAR + 0.02)


def test_holes_are_filled_by_the_likelier_level(density: made.Density) -> None:
    rows = pd.DataFrame(clinic.draw(200, seed=9))
    holes = rows.assign(flu=None)
    filled = density.impute(holes)
    observed = rows.drop(columns="flu")
    # Tests that were not done are holes too.
    assert not filled.isna().any(axis=None)
    assert observed.equals(filled[observed.columns].where(observed.notna(), observed))
    agreed = []
    for place in range(len(rows)):
        seen = rows.drop(columns="flu").iloc[place].to_dict()
        seen = {name: None if cell != cell else cell for name, cell in seen.items()}
        flu = clinic.probability(
            lambda r: r["flu"] == "yes",
            lambda r, seen=seen: all(r[name] == cell for name, cell in seen.items()),
        )
        if abs(flu - 0.5) > 0.1:
            agreed.append((filled["flu"].iloc[place] == "yes") == (flu > 0.5))
    assert np.mean(agreed) > 0.97


def test_an_odd_cell_is_found(density: made.Density) -> None:
    row = {"season": "summer", "age": "child", "smoker": "yes", "flu": "no", "bronchitis": "no",
           "cough": "none", "fever": "no", "test": None}  # fmt: skip
    oddest = density.explain(row)[0]
    assert oddest.column == "smoker"
    assert oddest.likeliest == "no"
    truth = clinic.probability(
        lambda r: r["smoker"] == "yes",
        lambda r: all(r[name] == cell for name, cell in row.items() if name != "smoker"),
    )
    assert np.exp(oddest.log_prob) == pytest.approx(truth, abs=NEAR)
