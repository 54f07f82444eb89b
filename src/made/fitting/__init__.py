"""The recipe: a table becomes a trained model and its record."""

from made.fitting.fit import Fit, find_device, fit_table, using_threads
from made.fitting.recipe import (
    PRESETS,
    Recipe,
    choose_hidden,
    choose_orderings,
    choose_recipe,
)
from made.fitting.rows import Splits, read_splits, warn_if_trained_on

__all__ = [
    "PRESETS",
    "Fit",
    "Recipe",
    "Splits",
    "choose_hidden",
    "choose_orderings",
    "choose_recipe",
    "find_device",
    "fit_table",
    "read_splits",
    "using_threads",
    "warn_if_trained_on",
]
