"""The recipe: what is chosen where the user chose nothing, by rows and kinds of columns.

Knows options and presets; knows nothing of training itself, or of where rows come from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from made.errors import OptionError
from made.network.config import NetworkConfig
from made.table import Schema
from made.training.options import TrainingOptions, check_count
from made.uniforms import NETWORKS, derived_seed

_N_ORDERINGS = 16
# Below this many rows for each column, fresh orderings regularise more than a fixed list costs.
_ROWS_PER_COLUMN = 15
# Hidden units of tables with other columns than bits, by rows; more where rows are more.
_WIDTHS = ((2_000, 100), (20_000, 200))
_WIDTH = 500
# Tables of few bits: two layers, and what is not said here.
_OF_BITS: dict[str, Any] = {"hidden": (_WIDTH, _WIDTH)}
# Independent networks gain more than further orderings would, where there is this much time.
_SEVERAL, _SECONDS_FOR_SEVERAL = 4, 240.0
# A network of all orderings serves any number of members, and many are better; a few of them tell
# how well it learns.
_OF_ALL_ORDERINGS: dict[str, Any] = {
    "hidden": (_WIDTH,),
    "dropout": 0.5,
    "members": 64,
    "validation_members": 16,
    "learning_rate": 5e-4,
}
# Of fewer rows than these for a column, all that fits a row to itself over-fits: a fixed list of
# orderings, and nothing but dropped units between inputs and outputs.
_LEAST_ROWS_PER_COLUMN = 2
_OF_SCARCE_ROWS: dict[str, Any] = {
    "hidden": (_WIDTH,),
    "dropout": 0.5,
    "direct_input": False,
    "conditioning": False,
    "learning_rate": 1e-3,
    "weight_decay": 0.3,
    "networks": _SEVERAL,
}
# Of more rows, few orderings can be learned well: of bits by one layer, wider where rows are more,
# with nothing but dropped units between inputs and outputs, since direct connections and
# conditioning weights over-fit.
_FEW_ORDERINGS = 2
_OF_FEW_ORDERINGS: dict[str, Any] = {
    "hidden": (1000,),
    "dropout": 0.5,
    "direct_input": False,
    "conditioning": False,
    "learning_rate": 3e-3,
    "networks": _SEVERAL,
}
_OF_MORE_ROWS: tuple[tuple[int, dict[str, Any]], ...] = (
    (15_000, {"hidden": (4000,), "dropout": 0.3, "learning_rate": 2e-3}),
    (5_000, {"hidden": (2000,), "learning_rate": 2e-3}),
)
# Rows from which that holds where a column has few; elsewhere it does from the least of these on.
_LEAST_ROWS_OF_WIDE = 2_000
# Images have so many cells: one ordering, more units, dropout as where rows are few, larger
# batches, and a network for every ten minutes.
_MANY_CELLS, _MANY_COLUMNS = 20_000_000, 500
_OF_MANY_CELLS: dict[str, Any] = {"hidden": (8000,), "dropout": 0.5, "batch_size": 200}
_SECONDS_OF_MANY_CELLS, _MOST_NETWORKS = 600.0, 24
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
    orderings = chosen.pop("orderings", "auto")
    if orderings == "auto" and learns_few(n_rows, schema.n_columns):
        are_images = schema.is_binary and has_many_cells(n_rows, schema.n_columns)
        orderings = 1 if are_images else _FEW_ORDERINGS
    elif orderings == "auto" and schema.is_binary and has_scarce_rows(n_rows, schema.n_columns):
        orderings = _N_ORDERINGS
    n_orderings = choose_orderings(orderings, n_rows, schema.n_columns)
    if schema.is_binary:
        of_bits = _of_bits(n_rows, schema.n_columns, n_orderings)
        if "networks" in of_bits:
            of_bits |= {"networks": _networks_in_time(n_rows, schema.n_columns, max_seconds)}
        chosen = of_bits | chosen
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


def _of_bits(n_rows: int, n_columns: int, n_orderings: int | None) -> dict[str, Any]:
    """Return what suits a table of bits."""
    if n_orderings is None:
        return _OF_ALL_ORDERINGS.copy()
    if not learns_few(n_rows, n_columns):
        return (_OF_SCARCE_ROWS if has_scarce_rows(n_rows, n_columns) else _OF_BITS).copy()
    of_rows = next((chosen for from_rows, chosen in _OF_MORE_ROWS if n_rows >= from_rows), {})
    of_cells = _OF_MANY_CELLS if has_many_cells(n_rows, n_columns) else {}
    return _OF_FEW_ORDERINGS | of_rows | of_cells


def _networks_in_time(n_rows: int, n_columns: int, max_seconds: float | None) -> int:
    """Return how many networks of a table of bits there is time for."""
    if max_seconds is None or max_seconds < _SECONDS_FOR_SEVERAL:
        return 1
    if not has_many_cells(n_rows, n_columns):
        return _SEVERAL
    return min(max(1, int(max_seconds // _SECONDS_OF_MANY_CELLS)), _MOST_NETWORKS)


def learns_few(n_rows: int, n_columns: int) -> bool:
    """Return whether few orderings are best for a table: each can be learned well.

    Examples
    --------
    >>> learns_few(5_000, 123), learns_few(2_000, 112), learns_few(2_461, 1556)
    (True, False, True)
    """
    is_wide = n_rows < _ROWS_PER_COLUMN * n_columns
    return n_rows >= (_LEAST_ROWS_OF_WIDE if is_wide else _OF_MORE_ROWS[-1][0])


def has_scarce_rows(n_rows: int, n_columns: int) -> bool:
    """Return whether a table of bits has hardly more rows than columns, and few of them.

    Examples
    --------
    >>> has_scarce_rows(400, 500), has_scarce_rows(1_400, 180), has_scarce_rows(2_461, 1556)
    (True, False, False)
    """
    return n_rows < _LEAST_ROWS_PER_COLUMN * n_columns and not learns_few(n_rows, n_columns)


def has_many_cells(n_rows: int, n_columns: int) -> bool:
    """Return whether a table of bits is as large as a set of images, and as wide.

    Examples
    --------
    >>> has_many_cells(50_000, 784), has_many_cells(500_000, 100), has_many_cells(5_000, 784)
    (True, False, False)
    """
    return n_columns >= _MANY_COLUMNS and n_rows * n_columns >= _MANY_CELLS


def choose_hidden(n_rows: int) -> tuple[int, int]:
    """Return the widths of the hidden layers for a mixed table of so many training rows.

    Examples
    --------
    >>> choose_hidden(344), choose_hidden(30_000)
    ((100, 100), (500, 500))
    """
    width = next((width for below, width in _WIDTHS if n_rows < below), _WIDTH)
    return (width, width)


def choose_orderings(orderings: str | int, n_rows: int, n_columns: int) -> int | None:
    """Return the number of orderings to cycle through, or None for a fresh one at every step.

    The rule behind "auto": few fixed orderings where rows are many, since then the network
    can learn each well; fresh ones where rows are few, since they regularise. Where rows are
    thousands there are fewer still (`learns_few`).

    Examples
    --------
    >>> choose_orderings("auto", 2000, 112), choose_orderings("all", 2000, 112)
    (16, None)
    """
    if orderings == "all":
        return None
    if orderings == "auto":
        return _N_ORDERINGS if n_rows >= _ROWS_PER_COLUMN * n_columns else None
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
