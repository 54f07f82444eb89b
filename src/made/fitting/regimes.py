"""The regime of a table: which kind of recipe its rows and columns ask for.

The one home of the thresholds. Knows numbers of rows and columns, and whether all are bits; what a
regime means for a network, or for a search, is known to `recipe` and to `made.search`.
"""

from __future__ import annotations

from enum import Enum

from made.table import Schema

# Below this many rows for each column, fresh orderings regularise more than a fixed list costs.
_ROWS_PER_COLUMN = 15
# Of fewer rows than these for a column, all that fits a row to itself over-fits.
_LEAST_ROWS_PER_COLUMN = 2
# Rows from which few orderings can be learned well; fewer rows do where a column has few.
_MANY_ROWS, _MANY_ROWS_OF_WIDE = 5_000, 2_000
# So many cells, and so wide, are images.
_MANY_CELLS, _MANY_COLUMNS = 20_000_000, 500


class Regime(Enum):
    """A kind of table, by its training rows."""

    IMAGES = "images"
    MANY_ROWS = "many rows"
    ROWS_ENOUGH = "rows enough"
    FEW_ROWS = "few rows"
    SCARCE_ROWS = "scarce rows"

    @property
    def n_orderings(self) -> int | None:
        """Orderings to cycle through, or None for a fresh one at every step.

        Few where rows are many, since the network can then learn each well; fresh ones where rows
        are few, since they regularise; a list where they are so few that fresh ones over-fit too.
        """
        return _N_ORDERINGS[self]


_N_ORDERINGS = {
    Regime.IMAGES: 1,
    Regime.MANY_ROWS: 2,
    Regime.ROWS_ENOUGH: 16,
    Regime.FEW_ROWS: None,
    Regime.SCARCE_ROWS: 16,
}


def regime_of(schema: Schema, n_rows: int) -> Regime:
    """Return the regime of a table of so many training rows."""
    return find_regime(n_rows, schema.n_columns, are_bits=schema.is_binary)


def find_regime(n_rows: int, n_columns: int, *, are_bits: bool) -> Regime:
    """Return the regime of so many training rows and columns.

    Examples
    --------
    >>> find_regime(50_000, 784, are_bits=True), find_regime(2_461, 1556, are_bits=True)
    (<Regime.IMAGES: 'images'>, <Regime.MANY_ROWS: 'many rows'>)
    >>> [find_regime(n, 112, are_bits=True).value for n in (200, 1_000, 2_000, 5_000)]
    ['scarce rows', 'few rows', 'rows enough', 'many rows']
    >>> find_regime(200, 112, are_bits=False)
    <Regime.FEW_ROWS: 'few rows'>
    """
    is_wide = n_rows < _ROWS_PER_COLUMN * n_columns
    if n_rows >= (_MANY_ROWS_OF_WIDE if is_wide else _MANY_ROWS):
        are_images = n_columns >= _MANY_COLUMNS and n_rows * n_columns >= _MANY_CELLS
        return Regime.IMAGES if are_bits and are_images else Regime.MANY_ROWS
    if are_bits and n_rows < _LEAST_ROWS_PER_COLUMN * n_columns:
        return Regime.SCARCE_ROWS
    return Regime.FEW_ROWS if is_wide else Regime.ROWS_ENOUGH
