"""What a user holds: a `Density`, and the ways to get one: `fit`, `load`, `pool`."""

from made.density.density import Density
from made.density.fit import TrainingInterrupted, fit, fit_timed, remove_checkpoint
from made.density.loading import load, pool

__all__ = [
    "Density",
    "TrainingInterrupted",
    "fit",
    "fit_timed",
    "load",
    "pool",
    "remove_checkpoint",
]
