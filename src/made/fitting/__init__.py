"""The recipe: a table becomes a trained model and its record."""

from made.fitting.fit import find_device, fit_table
from made.fitting.recipe import PRESETS, choose_hidden, choose_orderings, choose_recipe
from made.fitting.rows import read_splits, warn_if_trained_on

__all__ = [
    "PRESETS",
    "choose_hidden",
    "choose_orderings",
    "choose_recipe",
    "find_device",
    "fit_table",
    "read_splits",
    "warn_if_trained_on",
]
