"""Holes filled and cells explained: `Density.impute` and `Density.explain`.

Thin: `queries` does the work. Knows frames in and out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from made.columns import Column, DatetimeColumn, NumericColumn
from made.density.questions import Questions
from made.errors import OptionError, QuestionError
from made.progress import Progress
from made.queries.events import place_of
from made.queries.explanation import explain
from made.queries.imputation import check_point, draw_holes, impute
from made.table import fill, frame_of, read_table, value_of, values_of
from made.table.containers import natural_cells
from made.table.frames import Table
from made.uniforms import check_seed


@dataclass(frozen=True)
class ExplainedCell:
    """One cell given all the others of its row; log-probabilities in nats.

    ``surprise`` is log_prob of the likeliest value less that of the cell: 0 where nothing is odd.
    """

    column: str
    value: Any
    log_prob: float
    likeliest: Any
    likeliest_log_prob: float

    @property
    def surprise(self) -> float:
        return self.likeliest_log_prob - self.log_prob


@dataclass(frozen=True)
class Imputation:
    """A filled table, and the limits of what stood in its holes.

    ``low`` and ``high`` are frames with a column for each one of numbers or times: NaN, or NaT,
    where a cell was observed.
    """

    filled: Any
    low: Any
    high: Any


class Completions(Questions):
    """Imputation and explanations: see `made.Density`."""

    def impute(
        self,
        data: Any,
        *,
        draws: int = 0,
        numbers: str = "mean",
        interval: float | None = None,
        seed: int = 0,
        unseen: str = "error",
        ensemble: str | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Fill the missing cells of a table.

        Each from p(cell | observed cells of its row), the other holes marginalised out: a hole is
        unknown, and that it is one is no evidence. Observed cells come back as they were.

        Parameters
        ----------
        data : array, frame or path, (n_rows, n_columns)
        draws : int
            0 fills every hole with its likeliest level or ``numbers``; else so many tables are
            returned, whose holes are drawn, row by row as a whole.
        numbers : {"mean", "median", "mode"}
        interval : float, optional
            Also return the limits that hold with this probability, for numbers.
        seed : int
        unseen : {"error", "rare"}
            See `log_prob`.
        ensemble : {"mixture"}, optional
        progress : Progress, optional

        Returns
        -------
        frame, list of frames if ``draws``, or `Imputation` if ``interval``
            Of the kind that came in; of a file, a pyarrow table of texts.

        Examples
        --------
        >>> import numpy as np, made
        >>> bits = np.array([[0, 1], [1, 0]] * 50)
        >>> density = made.fit(bits, hidden=(8,), max_epochs=3, questions=True)
        >>> density.impute(np.array([[0.0, 1.0], [np.nan, 1.0]])).shape
        (2, 2)
        """
        schema, source = self._fitted.schema, self._asked(ensemble)
        self._need_mixture(source, "Holes are filled by")
        if draws and interval is not None:
            raise OptionError("Ask for draws or for an interval, not both.")
        if isinstance(draws, bool) or not isinstance(draws, (int, np.integer)) or draws < 0:
            raise OptionError(f"draws must be a whole number of at least 0; got {draws!r}.")
        check_point(numbers)
        if interval is not None and (
            isinstance(interval, bool)
            or not isinstance(interval, (int, float))
            or not 0 < interval < 1
        ):
            raise OptionError(f"interval must lie between 0 and 1; got {interval!r}.")
        table = read_table(data)
        values = values_of(table, schema, unseen, unknown=True).astype(np.float64)
        if draws:
            tables = draw_holes(source, values, int(draws), check_seed(seed), progress)
            return [fill(table, schema, one) for one in tables]
        found = impute(source, values, point=numbers, interval=interval, progress=progress)
        filled = fill(table, schema, found.values)
        if found.low is None or found.high is None:
            return filled
        low, high = (self._limits(table, limits) for limits in (found.low, found.high))
        return Imputation(filled, low, high)

    def explain(
        self, row: Any, *, unseen: str = "error", ensemble: str | None = None
    ) -> list[ExplainedCell]:
        """Say how likely each cell of a row is given all the others, the oddest first.

        Parameters
        ----------
        row : mapping, or a table of one row
            A cell that is missing is explained like any other.
        unseen : {"error", "rare"}
        ensemble : {"mixture"}, optional

        Returns
        -------
        list of ExplainedCell
            By ``surprise``: how much likelier the likeliest value would be, in nats.

        Examples
        --------
        >>> import numpy as np, made
        >>> bits = np.array([[0, 1], [1, 0]] * 50)
        >>> density = made.fit(bits, hidden=(8,), max_epochs=3, questions=True)
        >>> [cell.column for cell in density.explain(np.array([[0, 0]]))] != []
        True
        """
        schema, source = self._fitted.schema, self._asked(ensemble)
        self._need_mixture(source, "Cells are explained by")
        if isinstance(row, Mapping):
            missing = [name for name in schema.names if name not in row]
            if missing:
                raise QuestionError(
                    f"The row has no {missing[0]!r}: give a cell for every column, None where it "
                    "is missing."
                )
            for name in row:
                place_of(name, schema)
            cells = [value_of(column, row[column.name], unseen) for column in schema.columns]
            values = np.array([cells])
        else:
            values = values_of(read_table(row), schema, unseen).astype(np.float64)
        if len(values) != 1:
            raise QuestionError(f"One row is explained at a time; got {len(values)}.")
        self._check_missing(values, range(schema.n_columns))
        found = explain(source, values)
        cells = [
            ExplainedCell(
                column.name,
                _cell(column, values[0, d]),
                float(found.log_probs[0, d]),
                _cell(column, found.likeliest[0, d]),
                float(found.likeliest_log_probs[0, d]),
            )
            for d, column in enumerate(schema.columns)
        ]
        return sorted(cells, key=lambda cell: -cell.surprise)

    def _limits(self, table: Table, limits: np.ndarray) -> Any:
        if table.names is None:
            return limits
        cells = {
            column.name: natural_cells(replace(column, format=""), limits[:, d])
            if isinstance(column, DatetimeColumn)
            else limits[:, d]
            for d, column in enumerate(self._fitted.schema.columns)
            if isinstance(column, NumericColumn)
        }
        return frame_of(cells, table.container, table.index)


def _cell(column: Column, value: float) -> Any:
    cell = natural_cells(column, np.array([value]))[0]
    return cell.item() if isinstance(cell, np.generic) else cell
