"""The recipe: what is chosen where the user chose nothing, by rows and kinds of columns.

Knows options and presets; knows nothing of training itself, or of where rows come from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from made.errors import OptionError
from made.fitting.regimes import Regime, regime_of
from made.network.config import NetworkConfig
from made.table import Schema
from made.training.options import TrainingOptions, check_count
from made.uniforms import NETWORKS, derived_seed

# Hidden units of tables with other columns than bits, by rows; more where rows are more.
_WIDTHS = ((2_000, 100), (20_000, 200))
_WIDTH = 500
# Independent networks gain more than further orderings would, where there is this much time.
_SEVERAL, _SECONDS_FOR_SEVERAL = 4, 240.0
# Images have a network for every ten minutes.
_SECONDS_OF_IMAGES, _MOST_NETWORKS = 600.0, 24
# Few orderings of bits are learned well by one layer, wider where rows are more, with nothing but
# dropped units between inputs and outputs, since direct connections and conditioning weights
# over-fit. Images also want larger batches.
_OF_FEW_ORDERINGS: dict[str, Any] = {
    "hidden": (1000,),
    "dropout": 0.5,
    "direct_input": False,
    "conditioning": False,
    "learning_rate": 3e-3,
}
_OF_MORE_ROWS: tuple[tuple[int, dict[str, Any]], ...] = (
    (15_000, {"hidden": (4000,), "dropout": 0.3, "learning_rate": 2e-3}),
    (5_000, {"hidden": (2000,), "learning_rate": 2e-3}),
)
_OF_BITS: dict[Regime, dict[str, Any]] = {
    Regime.IMAGES: _OF_FEW_ORDERINGS
    | {"hidden": (8000,), "learning_rate": 2e-3, "batch_size": 200},
    Regime.MANY_ROWS: _OF_FEW_ORDERINGS,
    Regime.ROWS_ENOUGH: {"hidden": (_WIDTH, _WIDTH)},
    # A network of all orderings serves any number of members, and many are better; a few of them
    # tell how well it learns.
    Regime.FEW_ROWS: {
        "hidden": (_WIDTH,),
        "dropout": 0.5,
        "members": 64,
        "validation_members": 16,
        "learning_rate": 5e-4,
    },
    Regime.SCARCE_ROWS: {
        "hidden": (_WIDTH,),
        "dropout": 0.5,
        "direct_input": False,
        "conditioning": False,
        "learning_rate": 1e-3,
        "weight_decay": 0.3,
    },
}
# What suits tables of bits, with one input and one output a column, throws the training of others
# back again and again: a step then moves each output by the sum over hundreds of inputs.
_OF_MIXED_TABLES: dict[str, Any] = {"direct_input": False, "conditioning": False}
# Thirty epochs without improvement mean little where an epoch is three steps.
_PATIENCE_STEPS = 1500

# The published recipe (Germain et al. 2015, section 6, its supplement and its code): Adadelta,
# batches of 100, orderings and hidden degrees redrawn for every batch, direct connections to the
# output, orthogonal initial weights, a look-ahead of 30 epochs, 300 connectivities on validation
# rows and 1000 on test rows.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper": {
        "orderings": "all",
        "orderings_per_step": 1,
        "networks": 1,
        "members": 1000,
        "validation_members": 300,
        "hidden": (_WIDTH, _WIDTH),
        "hidden_degrees": "redrawn",
        "direct_input": True,
        "conditioning": False,
        "dropout": 0.0,
        "initialization": "orthogonal",
        "batch_size": 100,
        "optimizer": "adadelta",
        "learning_rate": 1.0,
        "weight_decay": 0.0,
        "warm_up": 0,
        "schedule": "constant",
        "clip_norm": 0.0,
        "average_decay": 0.0,
        "patience": 30,
    },
}

_NETWORK_OPTIONS = {option.name for option in fields(NetworkConfig)}
_TRAINING_OPTIONS = {option.name for option in fields(TrainingOptions)}


@dataclass(frozen=True)
class Recipe:
    """The options of a fit, complete; those of training are of the first of ``n_networks``."""

    network: NetworkConfig
    training: TrainingOptions
    n_networks: int

    def training_of(self, number: int) -> TrainingOptions:
        """Return the options of a network, counted from 0: each has a seed of its own."""
        if number == 0:
            return self.training
        seed = derived_seed(self.training.seed, NETWORKS, number)
        return replace(self.training, seed=seed)


def choose_recipe(
    options: dict[str, Any],
    schema: Schema,
    n_rows: int,
    seed: int,
    max_seconds: float | None = None,
) -> Recipe:
    """Return the options, completed by rules of rows and columns.

    Parameters
    ----------
    options : dict
        What the user or a preset chose, without None (`resolve`).
    max_seconds : float, optional
        Time for the fit: where it is short, or epochs are the limit, it is for one network.
    """
    chosen: dict[str, Any] = dict(options)
    regime = regime_of(schema, n_rows)
    orderings = chosen.pop("orderings", "auto")
    n_orderings = regime.n_orderings if orderings == "auto" else count_orderings(orderings)
    if schema.is_binary:
        # Whoever chooses fresh orderings, or a list, has the regime that goes with them.
        if n_orderings is None:
            regime = Regime.FEW_ROWS
        elif regime is Regime.FEW_ROWS:
            regime = Regime.ROWS_ENOUGH
        n_networks = _networks_in_time(regime, max_seconds)
        chosen = {"networks": n_networks} | _of_bits(regime, n_rows) | chosen
    else:
        chosen = {"hidden": choose_hidden(n_rows)} | _OF_MIXED_TABLES | chosen
        steps = max(1, round(n_rows / chosen.get("batch_size", TrainingOptions.batch_size)))
        patience = max(TrainingOptions.patience, -(-_PATIENCE_STEPS // steps))
        chosen.setdefault("patience", patience)
    network = {name: value for name, value in chosen.items() if name in _NETWORK_OPTIONS}
    training = {name: value for name, value in chosen.items() if name in _TRAINING_OPTIONS}
    return Recipe(
        NetworkConfig(**network),
        TrainingOptions(seed=seed, n_orderings=n_orderings, **training),
        chosen.get("networks", 1),
    )


def _of_bits(regime: Regime, n_rows: int) -> dict[str, Any]:
    """Return what suits a table of bits."""
    if regime is not Regime.MANY_ROWS:
        return _OF_BITS[regime]
    of_rows = next((chosen for from_rows, chosen in _OF_MORE_ROWS if n_rows >= from_rows), {})
    return _OF_BITS[regime] | of_rows


def _networks_in_time(regime: Regime, max_seconds: float | None) -> int:
    """Return how many networks of a table of bits there is time for."""
    if max_seconds is None or max_seconds < _SECONDS_FOR_SEVERAL:
        return 1
    if regime in (Regime.ROWS_ENOUGH, Regime.FEW_ROWS):
        return 1
    if regime is not Regime.IMAGES:
        return _SEVERAL
    return min(max(1, int(max_seconds // _SECONDS_OF_IMAGES)), _MOST_NETWORKS)


def choose_hidden(n_rows: int) -> tuple[int, int]:
    """Return the widths of the hidden layers for a mixed table of so many training rows.

    Examples
    --------
    >>> choose_hidden(344), choose_hidden(30_000)
    ((100, 100), (500, 500))
    """
    width = next((width for below, width in _WIDTHS if n_rows < below), _WIDTH)
    return (width, width)


def count_orderings(orderings: str | int) -> int | None:
    """Return the number of orderings that was asked for, or None for a fresh one at every step.

    Examples
    --------
    >>> count_orderings("all"), count_orderings("8"), count_orderings(8)
    (None, 8, 8)
    """
    if orderings == "all":
        return None
    if isinstance(orderings, str) and orderings.isdecimal():
        orderings = int(orderings)
    if isinstance(orderings, str):
        raise OptionError(f'orderings must be "auto", "all" or a number, got {orderings!r}.')
    return check_count("orderings", orderings)


def for_questions(orderings: str | int | None, combine: str) -> tuple[str, str]:
    """Return the orderings and the combination of a model that will be asked in any order.

    Evidence comes first in an ordering, so every ordering must have been trained; and of a mixture
    all answers are exact.

    Examples
    --------
    >>> for_questions(None, "auto")
    ('all', 'mixture')
    """
    if orderings not in (None, "all"):
        raise OptionError(
            f"questions=True trains on all orderings, and orderings={orderings!r} on some. Leave "
            "one of the two out."
        )
    return "all", "mixture" if combine == "auto" else combine


def resolve(preset: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, completed by those of the preset."""
    if preset not in PRESETS:
        raise OptionError(f"preset must be one of {', '.join(PRESETS)}; got {preset!r}.")
    known = _NETWORK_OPTIONS | _TRAINING_OPTIONS | {"orderings", "networks"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise OptionError(f"Unknown option(s): {', '.join(unknown)}.")
    given = {name: value for name, value in options.items() if value is not None}
    if "networks" in given:
        check_count("networks", given["networks"])
    return PRESETS[preset] | given
