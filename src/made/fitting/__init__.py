"""The recipe: a table becomes a trained model and its record."""

from made.fitting.fit import Fit, fit_table, using_threads
from made.fitting.networks import checkpoints_of, find_device
from made.fitting.recipe import (
    PRESETS,
    Recipe,
    choose_hidden,
    choose_orderings,
    choose_recipe,
    has_many_cells,
    has_scarce_rows,
    learns_few,
)
from made.fitting.rows import RowSource, Splits, warn_if_trained_on

__all__ = [
    "PRESETS",
    "Fit",
    "Recipe",
    "RowSource",
    "Splits",
    "checkpoints_of",
    "choose_hidden",
    "choose_orderings",
    "choose_recipe",
    "find_device",
    "fit_table",
    "has_many_cells",
    "has_scarce_rows",
    "learns_few",
    "using_threads",
    "warn_if_trained_on",
]
