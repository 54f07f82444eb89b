"""What may be tried: the first trials, picked by hand, and the ranges that later ones come from.

Data more than code: the numbers are meant to be read and changed. Knows options and the recipe that
completes them; knows nothing of Optuna, of time, or of how a trial went.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from made.errors import OptionError
from made.fitting import Regime, choose_hidden, choose_recipe, regime_of
from made.table import Schema

Options = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """An option that takes one of some values; a mapping sets several options at once."""

    name: str
    values: tuple[Any, ...]

    def options(self, value: Any) -> Options:
        return dict(value) if isinstance(value, Mapping) else {self.name: value}


@dataclass(frozen=True)
class LogRange:
    """An option that takes any number between two, small ones as finely as large ones."""

    name: str
    low: float
    high: float


Axis = Choice | LogRange

# A network that adds layer to layer, each divided by the root mean square of what a unit may see.
_RESIDUAL = {"hidden": (500, 500, 500), "residual": True, "normalization": "cumulative_rms"}

BITS: tuple[Axis, ...] = (
    LogRange("learning_rate", 3e-4, 5e-3),
    Choice("dropout", (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)),
    Choice("hidden", ((500,), (500, 500), (1000,), (2000,), (4000,), (8000,), _RESIDUAL)),
    Choice("orderings", (1, 2, 4, 8, 16, "all")),
    Choice("weight_decay", (0.01, 0.1, 0.3)),
    Choice("batch_size", (50, 100, 200)),
    Choice("orderings_per_step", (1, 2, 4)),
    Choice("direct_input", (True, False)),
    Choice("conditioning", (True, False)),
)
# The first trials of bits, by the regime of their rows.
FIRST_OF_BITS: dict[Regime, tuple[Options, ...]] = {
    # Few orderings: more regularised, less, and with direct connections.
    Regime.MANY_ROWS: (
        {},
        {"weight_decay": 0.3, "learning_rate": 1e-3},
        {
            "hidden": (4000,),
            "orderings": 4,
            "dropout": 0.0,
            "direct_input": True,
            "learning_rate": 1e-3,
        },
        {"hidden": (2000,), "dropout": 0.7, "learning_rate": 1e-3},
    ),
    # Many orderings that share their weights.
    Regime.ROWS_ENOUGH: (
        {},
        {"learning_rate": 1e-3},
        {"hidden": (2000,), "orderings": 8, "learning_rate": 1e-3},
        {
            "hidden": (1000,),
            "orderings": 4,
            "direct_input": False,
            "conditioning": False,
            "dropout": 0.5,
        },
    ),
    # Fresh orderings and dropout.
    Regime.FEW_ROWS: (
        {},
        {"orderings_per_step": 4, "dropout": 0.3},
        {"hidden": (500, 500), "dropout": 0.2, "learning_rate": 1e-3},
        {"orderings": 4, "hidden": (500,), "dropout": 0.5, "learning_rate": 4e-4},
    ),
    # A fixed list with nothing but dropped units in between.
    Regime.SCARCE_ROWS: (
        {},
        {"learning_rate": 4e-4},
        {"dropout": 0.3, "direct_input": True, "conditioning": True, "orderings_per_step": 2},
        {"orderings": 4, "direct_input": True, "learning_rate": 4e-4},
    ),
    # The time is for few networks: what differs little from the recipe is worth pooling, whichever
    # is best.
    Regime.IMAGES: (
        {},
        {"dropout": 0.6},
        {"weight_decay": 0.1, "dropout": 0.6},
        {"hidden": (4000,)},
    ),
}
MIXED_FIRST: tuple[Options, ...] = (
    {},
    {"dropout": 0.1, "learning_rate": 2e-3},
    {"direct_input": True, "learning_rate": 1e-3},
    {"orderings": "all", "dropout": 0.1},
)
MIXED_OF_FEW_ORDERINGS: tuple[Options, ...] = (
    {},
    {"orderings": 1},
    {"direct_input": True, "learning_rate": 1e-3},
    {"orderings": 4, "dropout": 0.1},
)
# Into how many trials the time is divided, and the share of it that goes into trying options; in
# the rest the best are trained again from other seeds: where all over-fit, independent networks are
# worth more than any option, and most of images.
_TRIALS, _EXPLORING = 5, 0.6
_TRIALS_OF_IMAGES, _EXPLORING_OF_IMAGES = 24, 0.25


def _mixed(n_rows: int) -> tuple[Axis, ...]:
    """Return the ranges for a table of other columns than bits."""
    width, _ = choose_hidden(n_rows)
    return (
        LogRange("learning_rate", 5e-4, 6e-3),
        Choice("dropout", (0.0, 0.1, 0.2, 0.3)),
        Choice("hidden", ((width, width), (2 * width, 2 * width))),
        Choice("orderings", (1, 2, 4, 8, 16, "all")),
        Choice("weight_decay", (0.01, 0.1, 0.3)),
        Choice("direct_input", (False, True)),
    )


@dataclass(frozen=True)
class Space:
    """All that may be tried on one table.

    Parameters
    ----------
    schema : Schema
    n_rows : int
        Training rows.
    fixed : dict
        What the user or the preset chose: never searched.
    first : tuple of dict
        The first trials, without what is fixed; {} is what a fit without a search would do.
    axes : tuple of Choice or LogRange
        What later trials are drawn from, one for each option.
    n_trials : int
        How many trials of full length the time is for.
    exploring : float
        The share of that time in which other options are tried.
    """

    schema: Schema
    n_rows: int
    fixed: Options
    first: tuple[Options, ...]
    axes: tuple[Axis, ...]
    n_trials: int
    exploring: float

    @property
    def size(self) -> float:
        """How many trials differ: infinite where a number is drawn from a range."""
        if any(isinstance(axis, LogRange) for axis in self.axes):
            return math.inf
        drawn = math.prod(len(axis.values) for axis in self.axes if isinstance(axis, Choice))
        return drawn + len(self.first)

    def complete(self, options: Options) -> Options | None:
        """Return every option of a trial, as the recipe completes it; None if it cannot be.

        Trials are alike if these are: a default that is named is no other trial.
        """
        try:
            recipe = choose_recipe(self.fixed | options, self.schema, self.n_rows, seed=0)
        except OptionError:
            return None
        training = recipe.training.to_json()
        del training["seed"]
        return recipe.network.to_json() | training | {"orderings": training["n_orderings"] or "all"}

    def place(self, complete: Options) -> dict[str, str | float]:
        """Return where a trial lies on each axis, as `options` reads it; no entry where beside."""
        places: dict[str, str | float] = {}
        for axis in self.axes:
            if isinstance(axis, LogRange):
                if axis.low <= complete[axis.name] <= axis.high:
                    places[axis.name] = complete[axis.name]
                continue
            # The longest description that holds: a residual network is more than its widths.
            longest = 0
            for value in axis.values:
                wanted = axis.options(value)
                holds = all(label(wanted[name]) == label(complete[name]) for name in wanted)
                if holds and len(wanted) > longest:
                    places[axis.name], longest = label(value), len(wanted)
        return places

    def options(self, places: Mapping[str, Any]) -> Options:
        """Return the options of a trial from its place on every axis."""
        options: Options = {}
        for axis in self.axes:
            if isinstance(axis, LogRange):
                # Two digits: no third one was ever felt, and these can be read.
                options[axis.name] = float(f"{places[axis.name]:.2g}")
            else:
                values = {label(value): value for value in axis.values}
                options |= axis.options(values[places[axis.name]])
        return {name: value for name, value in options.items() if name not in self.fixed}


def space_of(schema: Schema, n_rows: int, fixed: Options) -> Space:
    """Return what may be tried on a table of so many training rows.

    Examples
    --------
    >>> import numpy as np
    >>> from made.fitting import RowSource
    >>> splits = RowSource(np.tile(np.eye(4, dtype=int), (5, 1))).read()
    >>> space = space_of(splits.schema, 18, {"hidden": (30,), "orderings": 4, "direct_input": True})
    >>> [axis.name for axis in space.axes]
    ['learning_rate', 'dropout', 'weight_decay', 'batch_size', 'orderings_per_step', 'conditioning']
    """
    first, n_trials, exploring = _first(schema, n_rows)
    axes = BITS if schema.is_binary else _mixed(n_rows)
    # Whoever says what the network looks like says all of it.
    said = set(fixed) | (set(_RESIDUAL) if _RESIDUAL.keys() & fixed.keys() else set())
    return Space(
        schema,
        n_rows,
        fixed,
        tuple({name: one[name] for name in one if name not in said} for one in first),
        tuple(axis for axis in axes if axis.name not in fixed),
        n_trials,
        exploring,
    )


def _first(schema: Schema, n_rows: int) -> tuple[tuple[Options, ...], int, float]:
    """Return the first trials, by the rules of the recipe, how many there are, and exploring."""
    regime = regime_of(schema, n_rows)
    if not schema.is_binary:
        is_few = regime is Regime.MANY_ROWS
        return MIXED_OF_FEW_ORDERINGS if is_few else MIXED_FIRST, _TRIALS, _EXPLORING
    first = FIRST_OF_BITS[regime]
    if regime is Regime.IMAGES:
        return first, _TRIALS_OF_IMAGES, _EXPLORING_OF_IMAGES
    return first, _TRIALS, _EXPLORING


def label(value: Any) -> str:
    """Return a value of an option as text, the same for a tuple and a list."""
    return json.dumps(value)
