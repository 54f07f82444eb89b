"""Training and validation rows: read, declared, split and checked.

Knows tables; knows nothing of models, training or options other than those of data.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from made.columns import NumericColumn
from made.errors import DataError, MadeNotice
from made.table import (
    BY_SCHEMA,
    LEFT_OUT,
    Declaration,
    Schema,
    Table,
    fit_schema,
    infer,
    npz_splits,
    overrides_of,
    read_table,
    values_of,
    without_column,
)
from made.table.schema import shown
from made.uniforms import HOLDOUT, generator

_HOLDOUT_FRACTION = 0.1


@dataclass(frozen=True)
class Splits:
    """Checked values, (n_rows, n_columns), and the schema that was fitted to the training rows."""

    schema: Schema
    train: np.ndarray
    valid: np.ndarray

    @cached_property
    def identity(self) -> dict[str, str]:
        """What identifies the data of a run that may go on later; all rows are hashed for it."""
        return {
            "schema_hash": hash_of(json.dumps(self.schema.to_json()).encode()),
            "training_rows_hash": rows_hash(self.train),
            "validation_rows_hash": rows_hash(self.valid),
        }


@dataclass(frozen=True)
class RowSource:
    """Where the training and validation rows are, and how to read them.

    The fields are the arguments of `made.fit` of these names.

    Examples
    --------
    >>> splits = RowSource(np.tile(np.eye(4, dtype=int), (25, 1))).read()
    >>> splits.train.shape, splits.valid.shape
    ((90, 4), (10, 4))
    """

    train: Any
    valid: Any = None
    split: str | None = None
    header: bool = True
    id_column: str | None = None
    schema: Any = None
    na: Sequence[str] = ()
    keep: Sequence[str] = ()

    def read(self, seed: int = 0) -> Splits:
        """Read and check the rows.

        An .npz file with an array "train" is read as its splits; where there are no validation
        rows, a tenth of the rows is held out by the seed. Kinds of columns come from all rows, or
        from ``schema``, and so do levels; counts, scales and atoms from the training rows alone.
        """
        split, valid = self._chosen_split()
        table = self._read(self.train, split)
        declared = infer(table, overrides_of(self.schema), self.keep)
        _notice_left_out(declared)
        held_rows, train_rows = np.empty(0, dtype=np.int64), np.arange(table.n_rows)
        if valid is None:
            if table.n_rows < 2:
                raise DataError(
                    "The data has one row: there is none to validate on. Pass more rows, or "
                    "valid=..."
                )
            shuffled = generator(seed, HOLDOUT).permutation(table.n_rows)
            n_held = max(1, round(table.n_rows * _HOLDOUT_FRACTION))
            train_rows, held_rows = np.sort(shuffled[n_held:]), np.sort(shuffled[:n_held])
        fitted = fit_schema(table, declared, train_rows)
        values = values_of(table, fitted, "rare")
        _notice_constant(fitted, values[train_rows])
        if valid is None:
            return Splits(fitted, values[train_rows], values[held_rows])
        held = self._held(valid, fitted)
        warn_if_trained_on(rows_hash(values), held)
        return Splits(fitted, values, held)

    def _chosen_split(self) -> tuple[str | None, Any]:
        """Return which split of a file to train on, and the validation rows if there are any."""
        train, valid = self.train, self.valid
        names = npz_splits(train) if isinstance(train, (str, os.PathLike)) else []
        if self.split is not None or "train" not in names:
            return self.split, valid
        if valid is None and "valid" in names:
            valid = read_table(train, split="valid")
        return "train", valid

    def _read(self, rows: Any, split: str | None) -> Table:
        table = read_table(rows, split=split, header=self.header, na=self.na)
        return table if self.id_column is None else without_column(table, self.id_column)[0]

    def _held(self, valid: Any, schema: Schema) -> np.ndarray:
        """Return the values of the validation rows."""
        in_splits = isinstance(valid, (str, os.PathLike)) and len(npz_splits(valid)) > 1
        try:
            held = self._read(valid, "valid" if in_splits else None)
            if held.n_rows == 0:
                raise DataError("The data has no rows.")
            values = values_of(held, schema, "rare")
            check_possible(values, schema)
        except DataError as error:
            raise DataError(f"In the validation data: {error}") from error
        return values


def check_possible(values: np.ndarray, schema: Schema) -> None:
    """Raise `DataError` if a number lies beyond the limits of its column."""
    for d, column in enumerate(schema.columns):
        if not isinstance(column, NumericColumn):
            continue
        low = -np.inf if column.low is None else column.low
        high = np.inf if column.high is None else column.high
        beyond = (values[:, d] < low) | (values[:, d] > high)
        if beyond.any():
            row = int(np.argmax(beyond))
            raise DataError(
                f"Column {column.name!r} is {values[row, d]:g} at row {row}, and no training row "
                f"is below {low:g} or above {high:g}. If it can be, say so: "
                f'schema={{"{column.name}": {{"low": None, "high": None}}}}, or a schema file.'
            )


def _notice_left_out(declared: Sequence[Declaration]) -> None:
    left_out = [column for column in declared if column.kind == LEFT_OUT]
    # What the user left out is no news.
    names = [column.name for column in left_out if column.note != BY_SCHEMA]
    if names:
        warnings.warn(
            f"{len(names)} column(s) are left out: {shown(names, 6)}: different in (nearly) every "
            "row. To model one all the same, keep it (keep=[...], --keep).",
            MadeNotice,
            stacklevel=2,
        )


def _notice_constant(schema: Schema, train: np.ndarray) -> None:
    # NaN differs from itself, and a column that is wholly missing is constant too.
    same = (train == train[:1]) | (np.isnan(train) & np.isnan(train[:1]))
    constant = [schema.names[d] for d in np.flatnonzero(same.all(axis=0))]
    if constant and len(train) > 1:
        warnings.warn(
            f"{len(constant)} column(s) never change in the training rows: {shown(constant, 4)}. "
            "They are kept; another value will be very unlikely.",
            MadeNotice,
            stacklevel=2,
        )


def warn_if_trained_on(training_rows_hash: str | None, valid: np.ndarray) -> None:
    """Warn if the validation rows are those of the training; equal rows here and there are not."""
    if training_rows_hash == rows_hash(valid):
        warnings.warn(
            "The validation rows are the training rows: what is chosen by them will look better "
            "than it is. Hold other rows out, or leave the choice to made.",
            MadeNotice,
            stacklevel=2,
        )


def rows_hash(rows: np.ndarray) -> str:
    """Return what identifies the rows, and their order."""
    return hash_of(rows.tobytes())


def hash_of(content: bytes) -> str:
    """Return what identifies ``content``."""
    return hashlib.sha256(content).hexdigest()
