"""The recipe: a table becomes a trained model and its record."""

from made.fitting.fit import Fit, fit_table, using_threads
from made.fitting.networks import checkpoints_of, find_device
from made.fitting.recipe import (
    PRESETS,
    Recipe,
    choose_hidden,
    choose_recipe,
)
from made.fitting.regimes import Regime, find_regime, regime_of
from made.fitting.rows import RowSource, Splits, warn_if_trained_on

__all__ = [
    "PRESETS",
    "Fit",
    "Recipe",
    "Regime",
    "RowSource",
    "Splits",
    "checkpoints_of",
    "choose_hidden",
    "choose_recipe",
    "find_device",
    "find_regime",
    "fit_table",
    "regime_of",
    "using_threads",
    "warn_if_trained_on",
]
