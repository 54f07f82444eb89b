"""The recipe: a table becomes a trained model and its record."""

from made.fitting.fit import Fit, find_device, fit_table, using_threads
from made.fitting.recipe import (
    PRESETS,
    Recipe,
    choose_hidden,
    choose_orderings,
    choose_recipe,
    has_many_cells,
    learns_few,
)
from made.fitting.rows import RowSource, Splits, warn_if_trained_on

__all__ = [
    "PRESETS",
    "Fit",
    "Recipe",
    "RowSource",
    "Splits",
    "choose_hidden",
    "choose_orderings",
    "choose_recipe",
    "find_device",
    "fit_table",
    "has_many_cells",
    "learns_few",
    "using_threads",
    "warn_if_trained_on",
]
