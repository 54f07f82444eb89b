"""A Bayesian network whose every probability is known: what a model's answers can be held against.

Eight columns of a made-up clinic, 864 possible rows. A test result is missing more often where
there is no fever, as real ones are. Knows itself; knows nothing of models.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import numpy as np

COLUMNS: dict[str, tuple[str | None, ...]] = {
    "season": ("winter", "summer"),
    "age": ("child", "adult", "senior"),
    "smoker": ("no", "yes"),
    "flu": ("no", "yes"),
    "bronchitis": ("no", "yes"),
    "cough": ("none", "dry", "wet"),
    "fever": ("no", "yes"),
    "test": ("negative", "positive", None),
}
Row = Mapping[str, str | None]


def _probability_of(row: Row) -> float:
    """Return the product of the network's conditional probabilities."""
    winter, senior = row["season"] == "winter", row["age"] == "senior"
    flu, bronchitis = row["flu"] == "yes", row["bronchitis"] == "yes"
    fever = row["fever"] == "yes"
    age = {"child": 0.2, "adult": 0.55, "senior": 0.25}[str(row["age"])]
    smokes = {"child": 0.01, "adult": 0.3, "senior": 0.2}[str(row["age"])]
    has_flu = (0.25 if winter else 0.04) + (0.1 if senior else 0.0)
    has_bronchitis = 0.05 + (0.3 if row["smoker"] == "yes" else 0.0) + (0.1 if senior else 0.0)
    dry = 0.05 + (0.55 if flu else 0.0)
    wet = 0.05 + (0.3 if bronchitis else 0.0)
    has_fever = 0.75 if flu else 0.08
    not_tested = 0.2 if fever else 0.7
    positive = 0.85 if flu else 0.03
    return (
        (0.6 if winter else 0.4)
        * age
        * (smokes if row["smoker"] == "yes" else 1 - smokes)
        * (has_flu if flu else 1 - has_flu)
        * (has_bronchitis if bronchitis else 1 - has_bronchitis)
        * {"dry": dry, "wet": wet, "none": 1 - dry - wet}[str(row["cough"])]
        * (has_fever if fever else 1 - has_fever)
        * (
            not_tested
            if row["test"] is None
            else (1 - not_tested) * (positive if row["test"] == "positive" else 1 - positive)
        )
    )


def every_row() -> list[dict[str, str | None]]:
    """Return all possible rows."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in itertools.product(*COLUMNS.values())]


def probability(event: Callable[[Row], bool], given: Callable[[Row], bool] | None = None) -> float:
    """Return P(event | given) by summing over all rows.

    Examples
    --------
    >>> round(probability(lambda row: row["flu"] == "yes", lambda row: row["fever"] == "yes"), 4)
    0.6888
    """
    known = [row for row in every_row() if given is None or given(row)]
    masses = [_probability_of(row) for row in known]
    met = sum(mass for row, mass in zip(known, masses, strict=True) if event(row))
    return met / sum(masses)


def draw(n_rows: int, seed: int = 0) -> dict[str, list[str | None]]:
    """Return a table drawn from the network, by column.

    Examples
    --------
    >>> draw(3)["season"]
    ['summer', 'winter', 'winter']
    """
    rows = every_row()
    masses = np.array([_probability_of(row) for row in rows])
    chosen = np.random.default_rng(seed).choice(len(rows), n_rows, p=masses / masses.sum())
    return {name: [rows[place][name] for place in chosen] for name in COLUMNS}
