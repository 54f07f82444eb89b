"""made: exact probabilities for tables, by masked autoencoders (MADE).

    import made
    density = made.fit("rows.csv")
    density.log_prob("other.csv"), density.sample(100)

The names below are imported when first used, so that ``import made`` itself is immediate.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from made._version import __version__

if TYPE_CHECKING:
    from made.density import Density, TrainingInterrupted, fit, load, pool
    from made.errors import MadeError, MadeNotice
    from made.masks import check_autoregressive
    from made.network.wrapping import mask_autoencoder

_HOMES = {
    "Density": "made.density",
    "MadeError": "made.errors",
    "MadeNotice": "made.errors",
    "TrainingInterrupted": "made.density",
    "check_autoregressive": "made.masks",
    "fit": "made.density",
    "load": "made.density",
    "mask_autoencoder": "made.network.wrapping",
    "pool": "made.density",
}

__all__ = [
    "Density",
    "MadeError",
    "MadeNotice",
    "TrainingInterrupted",
    "__version__",
    "check_autoregressive",
    "fit",
    "load",
    "mask_autoencoder",
    "pool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'made' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
