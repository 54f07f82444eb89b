"""Results beside published figures: means over seeds, marks, counts. Numbers, no layout.

Knows results and published figures; knows nothing of tables or pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from made.benchmark.results import KEPT, RECIPES, Result, combination_of
from made.benchmark.suites import SUITES, published

BETTER, ALIKE, WORSE, MISSING = "+", "=", "-", "-"
# Half-width of a normal 95% interval, in standard errors.
_WIDE = 1.96
# In place of a recipe: for each set its main one.
EITHER = "whichever recipe validation rows prefer"
# What a default may lose to a search, as a share of its nats.
NEAR = 0.01
# Published figures have two decimals: ours are compared as rounded.
_DECIMALS = 2


@dataclass(frozen=True)
class Figure:
    """A mean over seeds; ``error`` is the spread of several seeds, else the standard error.

    ``half_width`` is of the 95% interval that the test rows leave.
    """

    value: float
    error: float
    n_seeds: int
    half_width: float

    def text(self, decimals: int = 2, sign: bool = False) -> str:
        """Return value and error.

        Examples
        --------
        >>> Figure(13.125, 0.05, 1, 0.1).text(), Figure(-0.001, 0.002, 1, 0.1).text(sign=True)
        ('13.12 ± 0.05', '+0.00 ± 0.00')
        """
        # Adding 0 turns -0.0 into 0.0.
        value = round(self.value, decimals) + 0.0
        return f"{value:{'+' if sign else ''}.{decimals}f} ± {self.error:.{decimals}f}"

    def negative(self) -> Figure:
        """Return the figure of the other sign: nats to log-likelihood."""
        return Figure(-self.value, self.error, self.n_seeds, self.half_width)


def figure(values: Sequence[float], errors: Sequence[float]) -> Figure:
    """Return the mean of one value a seed, each with its standard error."""
    several = len(values) > 1
    error = float(np.std(values, ddof=1)) if several else float(errors[0])
    return Figure(float(np.mean(values)), error, len(values), _WIDE * float(np.mean(errors)))


def of_set(results: Sequence[Result], suite: str, name: str, recipe: str) -> list[Result]:
    """Return the results of a set and recipe, one for each seed, of the longest time alone.

    Runs of other times are other recipes: a mean over both would be of neither. Which time counts
    is decided by the time, whatever came of it.
    """
    found = [
        one for one in results if (one["suite"], one["set"], one["recipe"]) == (suite, name, recipe)
    ]
    longest = max((one["budget_seconds"] for one in found), default=0)
    return [one for one in found if one["budget_seconds"] == longest]


def measured(results: Sequence[Result], suite: str, name: str, recipe: str) -> Figure | None:
    """Return the test nats of a set, None where it was not measured."""
    found = of_set(results, suite, name, recipe)
    if not found:
        return None
    return figure([one["test_nll"] for one in found], [one["test_standard_error"] for one in found])


def suites_of(results: Sequence[Result]) -> list[str]:
    """Return the suites that have results, the known ones first."""
    there = {one["suite"] for one in results}
    return [suite for suite in dict.fromkeys((*SUITES, *sorted(there))) if suite in there]


def recipes_of(results: Sequence[Result], suite: str) -> list[str]:
    """Return the recipes that a suite was run with, the plain one first."""
    there = {one["recipe"] for one in results if one["suite"] == suite}
    return [recipe for recipe in RECIPES if recipe in there]


def main_recipe(results: Sequence[Result], suite: str, name: str) -> str | None:
    """Return the recipe that stands for us where one figure is shown: validation rows choose it."""
    validation = {
        recipe: float(np.mean([one["validation_nll"] for one in found]))
        for recipe in RECIPES
        if (found := of_set(results, suite, name, recipe))
    }
    return min(validation, key=lambda recipe: validation[recipe], default=None)


def _ours(results: Sequence[Result], suite: str, name: str, recipe: str) -> Figure | None:
    """Return the test nats of a recipe, or of the main one of the set."""
    chosen = main_recipe(results, suite, name) if recipe == EITHER else recipe
    return None if chosen is None else measured(results, suite, name, chosen)


def mark(gain: float, interval: float) -> str:
    """Return what a gain over a published figure means, given the half-width of a 95% interval.

    Examples
    --------
    >>> mark(0.3, 0.2), mark(-0.1, 0.2), mark(-0.3, 0.2)
    ('+', '=', '-')
    """
    if abs(gain) <= interval:
        return ALIKE
    return BETTER if gain > 0 else WORSE


def best_published(name: str) -> tuple[float, float]:
    """Return the best published nats of a set of the MADE paper, and the half-width beside it."""
    known = published()["made"]
    place = known["sets"].index(name)
    return min(row["nll"][place] for row in known["rows"]), known["interval"][place]


def best_of_made(name: str) -> float:
    """Return the best nats of a set that MADE itself was published with."""
    known = published()["made"]
    place = known["sets"].index(name)
    return min(row["nll"][place] for row in known["rows"] if row["model"].startswith("MADE"))


def gain_over(
    results: Sequence[Result], suite: str, name: str, recipe: str, other: str
) -> Figure | None:
    """Return what a recipe gains over another on the same test rows, paired, a seed at a time."""
    gains, errors = [], []
    for one in of_set(results, suite, name, recipe):
        for two in of_set(results, suite, name, other):
            if two["seed"] != one["seed"]:
                continue
            # Whichever was run later has the difference.
            for found, sign in ((one["against"].get(other), 1), (two["against"].get(recipe), -1)):
                if found is not None:
                    gains.append(sign * found["gain"])
                    errors.append(found["standard_error"])
                    break
    return figure(gains, errors) if gains else None


def gain_of(results: Sequence[Result], combination: str) -> Figure:
    """Return what a combination gains over the equal mixture, from the results of all seeds."""
    lines = [combination_of(one, combination) for one in results]
    return figure([line["gain"] for line in lines], [line["gain_standard_error"] for line in lines])


def minutes_of(results: Sequence[Result]) -> float:
    """Return how long fitting took, the mean over all seeds."""
    return float(np.mean([one["seconds"] for one in results])) / 60


def nll_of(results: Sequence[Result], combination: str) -> Figure:
    """Return the test nats of a combination, from the results of all seeds."""
    lines = [combination_of(one, combination) for one in results]
    return figure(
        [line["test_nll"] for line in lines], [line["test_standard_error"] for line in lines]
    )


def losses_of_default(results: Sequence[Result]) -> dict[tuple[str, str], float]:
    """Return by suite and set what the default loses to the search, as a share of its nats.

    Rounded as it is shown: hundredths of a percent.
    """
    losses = {}
    for suite, name in dict.fromkeys((one["suite"], one["set"]) for one in results):
        default, search = (measured(results, suite, name, recipe) for recipe in RECIPES)
        if default is not None and search is not None:
            losses[suite, name] = round(default.value / search.value - 1, 4)
    return losses


def at_least(ours: float, other: float) -> bool:
    """Return whether ``ours`` is as high as a published log-likelihood, as rounded there.

    Examples
    --------
    >>> at_least(-6.0349, -6.03), at_least(-6.0351, -6.03)
    (True, False)
    """
    return round(ours, _DECIMALS) >= other


def headline(results: Sequence[Result]) -> list[str]:
    """Return what to say first: a sentence for each suite and recipe that was measured."""
    makers: dict[str, Callable[[Sequence[Result], str], str]] = {
        "made": _made_headline,
        "debd": _debd_headline,
        "mnist": _mnist_headline,
    }
    lines = []
    for suite, make in makers.items():
        recipes = recipes_of(results, suite)
        both = [EITHER] if len(recipes) > 1 else []
        lines += [make(results, recipe) for recipe in [*recipes, *both]]
    if losses := losses_of_default(results):
        near = sum(loss <= NEAR for loss in losses.values())
        lines.append(
            f"The default, without a search: within {NEAR:.0%} of the search, or better, on {near} "
            f"of the {len(losses)} sets that both were run on."
        )
    return lines


def _made_headline(results: Sequence[Result], recipe: str) -> str:
    known = published()["made"]
    sets = [name for name in known["sets"] if name not in known["not_comparable"]]
    found = {name: _ours(results, "made", name, recipe) for name in sets}
    values = {name: one.value for name, one in found.items() if one is not None}
    best = {name: best_published(name) for name in values}
    below = sum(at_least(-ours, -best[name][0]) for name, ours in values.items())
    within = sum(mark(best[n][0] - ours, best[n][1]) != WORSE for n, ours in values.items())
    below_made = sum(round(v, _DECIMALS) < best_of_made(name) for name, v in values.items())
    return (
        f"MADE's sets, {_by(recipe)}: at or below the best published figure on {below} of "
        f"{len(sets)}, below it or within its 95% interval on {within}, below the figures of MADE "
        f"itself on {below_made}{_unmeasured(len(sets) - len(values))}."
    )


def _debd_headline(results: Sequence[Result], recipe: str) -> str:
    rows: dict[str, Any] = published()["debd"]["rows"]
    found = {name: _ours(results, "debd", name, recipe) for name in rows}
    ours = {name: -one.value for name, one in found.items() if one is not None}
    at_best = sum(at_least(value, rows[name]["best"]) for name, value in ours.items())
    credible = [name for name, row in rows.items() if is_credible(row)]
    above = sum(
        round(ours[name], _DECIMALS) > rows[name]["made"] for name in credible if name in ours
    )
    return (
        f"DEBD, {_by(recipe)}: at or above the best published exact model on {at_best} of "
        f"{len(rows)} sets, above MADE with 8 orderings on {above} of {len(credible)}"
        f"{_unmeasured(len(rows) - len(ours))}."
    )


def _mnist_headline(results: Sequence[Result], recipe: str) -> str:
    known = published()["mnist"]
    ours = _ours(results, "mnist", known["set"], recipe)
    best = next(row for row in known["rows"] if row.get("best_made"))
    assert ours is not None
    return (
        f"Binarized MNIST, {_by(recipe)}: {ours.text()} nats; the best published MADE has "
        f"{best['nll']:.2f}, the best of all in the table "
        f"{min(row['nll'] for row in known['rows']):.2f}."
    )


def _by(recipe: str) -> str:
    return recipe if recipe == EITHER else f"recipe {recipe}"


def is_credible(row: dict[str, Any]) -> bool:
    """Return whether the figure of MADE with 8 orderings is there and in line with all others."""
    return row["made"] is not None and not row.get("out_of_line", False)


def _unmeasured(count: int) -> str:
    return f" ({count} not measured)" if count else ""


def to_json(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return a line for each suite, set and recipe."""
    keys = dict.fromkeys((one["suite"], one["set"], one["recipe"]) for one in results)
    lines = []
    for suite, name, recipe in keys:
        ours = measured(results, suite, name, recipe)
        assert ours is not None
        lines.append(
            {
                "suite": suite,
                "set": name,
                "recipe": recipe,
                "n_seeds": ours.n_seeds,
                "test_nll": ours.value,
                "error": ours.error,
                "error_is": "spread over seeds" if ours.n_seeds > 1 else "standard error",
                "gain_over_mixture": gain_of(of_set(results, suite, name, recipe), KEPT).value,
            }
            | published_beside(suite, name, ours)
        )
    return lines


def published_beside(suite: str, name: str, ours: Figure) -> dict[str, Any]:
    """Return the best published nats of a set and the mark of ours, where there is one."""
    known = published()
    if suite == "made" and name in known["made"]["sets"]:
        if name in known["made"]["not_comparable"]:
            return {}
        best, interval = best_published(name)
    elif suite == "debd" and name in known["debd"]["rows"]:
        best, interval = -known["debd"]["rows"][name]["best"], ours.half_width
    elif suite == "mnist":
        best, interval = min(row["nll"] for row in known["mnist"]["rows"]), ours.half_width
    else:
        return {}
    return {"best_published_nll": best, "mark": mark(best - ours.value, interval)}
