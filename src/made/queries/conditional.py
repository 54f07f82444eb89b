"""The distribution of one column given evidence, itself: probabilities, quantiles, mean, draws.

A mixture of conditional families, one for each beginning (or each cell of a region of evidence),
weighted by Bayes; or, where the column cannot come right after the evidence, weighted draws. Knows
families and weights; knows nothing of where they come from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from made.columns import BinaryColumn, CategoricalColumn, Column, DatetimeColumn, NumericColumn
from made.conditionals.region import Interval, Region
from made.errors import OptionError, QuestionError
from made.queries.probability import Method
from made.table import value_of
from made.table.containers import natural_cells
from made.uniforms import QUESTIONS, check_n_rows, uniforms

_BISECTIONS = 80
MISSING = Region((), missing=True)


@dataclass(frozen=True)
class Conditional(ABC):
    """The distribution of one column, for each of some rows of evidence.

    What is said of its values (all but `missing`, `probabilities` and `mass`) is said given that
    the cell is not missing. One row of evidence gives plain numbers, a frame of them arrays.

    Attributes
    ----------
    column : Column
    is_single : bool
        Whether there is one row of evidence, given as such.
    exact : bool
        Whether this is the conditional of an ensemble itself, or an estimate from draws.
    method : {"orderings", "particles"}
    effective_sample_size : float or None
        How many equally weighted draws would know as much; None where it is exact.
    """

    column: Column
    is_single: bool
    exact: bool
    method: Method
    effective_sample_size: float | None

    @property
    def levels(self) -> tuple[Any, ...]:
        """What `probabilities` belong to.

        Raises
        ------
        QuestionError
            If the column is one of numbers.
        """
        if not isinstance(self.column, (BinaryColumn, CategoricalColumn)):
            raise QuestionError(
                f"Column {self.column.name!r} holds numbers and has no levels. Ask for mean, "
                "quantile, cdf or interval."
            )
        return self.column.levels

    @property
    def probabilities(self) -> Any:
        """The probability of each level; with `missing`, and what is kept for the unseen, 1.

        A dict of levels, or an array (n_rows, n_levels) where there are many rows of evidence.
        """
        levels, masses = self.levels, self.level_masses()
        return dict(zip(levels, masses[0].tolist(), strict=True)) if self.is_single else masses

    @property
    def missing(self) -> Any:
        """The probability that the cell is missing."""
        return self._told(self.mass_of(MISSING))

    def cdf(self, value: object) -> Any:
        """Return the probability of a value of at most ``value``, in the column's own units."""
        self._check_numbers("A cdf")
        at = value_of(self.column, value)
        if np.isnan(at):
            raise QuestionError("A missing cell is neither above nor below: ask for missing.")
        below = self.mass_of(Region((Interval(-np.inf, at),)))
        return self._told(below / self._present)

    def quantile(self, level: float) -> Any:
        """Return the least value whose cdf is at least ``level``, 0 < level < 1."""
        self._check_numbers("A quantile")
        if not 0 < level < 1:
            raise OptionError(f"The level of a quantile lies between 0 and 1; got {level!r}.")
        return self._cells(self.quantile_values(level))

    def interval(self, level: float = 0.9) -> tuple[Any, Any]:
        """Return the limits between which the value lies with probability ``level``."""
        if not 0 < level < 1:
            raise OptionError(f"The level of an interval lies between 0 and 1; got {level!r}.")
        return self.quantile((1 - level) / 2), self.quantile((1 + level) / 2)

    @property
    def mean(self) -> Any:
        """The expected value; of times a time."""
        self._check_numbers("A mean")
        means = self.mean_values()
        return self._cells(means) if isinstance(self.column, DatetimeColumn) else self._told(means)

    @property
    def mode(self) -> Any:
        """The most likely value, or where the density is highest, as it stands in a table."""
        return self._cells(self.mode_values())

    def sample(self, n_rows: int, seed: int = 0) -> np.ndarray:
        """Draw values, missing cells not among them; of many rows of evidence, that many each.

        Returns
        -------
        ndarray, shape (n_rows,) or (n_evidence, n_rows)
        """
        n_rows = check_n_rows(n_rows)
        many = self.repeated(n_rows)
        n_all = n_rows * self.n_evidence
        drawn = uniforms(seed, 0, n_all, 2, QUESTIONS)
        cells = natural_cells(self.column, many.draw_values(drawn[:, 0], drawn[:, 1]))
        return cells if self.is_single else cells.reshape(self.n_evidence, n_rows)

    @abstractmethod
    def log_prob(self, value: Any) -> Any:
        """Return the log mass, or log density, of a value (or one for each row), in nats."""

    @abstractmethod
    def mode_values(self) -> np.ndarray:
        """Return the most likely values, as numbers, ``(n_rows,)``."""

    @abstractmethod
    def mass_of(self, region: Region) -> np.ndarray:
        """Return the probability of a region, ``(n_rows,)``."""

    @abstractmethod
    def level_masses(self) -> np.ndarray:
        """Return the probability of each level, ``(n_rows, n_levels)``."""

    @abstractmethod
    def quantile_values(self, level: float) -> np.ndarray:
        """Return quantiles as numbers, ``(n_rows,)``."""

    @abstractmethod
    def mean_values(self) -> np.ndarray:
        """Return means as numbers, ``(n_rows,)``."""

    @abstractmethod
    def draw_values(self, choice: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """Return a draw for each row, from two uniforms each."""

    @abstractmethod
    def repeated(self, times: int) -> Conditional:
        """Return the distributions with each row of evidence so many times."""

    @property
    @abstractmethod
    def n_evidence(self) -> int:
        """How many rows of evidence there are."""

    @property
    def _present(self) -> np.ndarray:
        return 1.0 - self.mass_of(MISSING)

    def _check_numbers(self, what: str) -> None:
        if not isinstance(self.column, NumericColumn):
            raise QuestionError(
                f"{what} means nothing for column {self.column.name!r}, whose values are levels. "
                "Ask for probabilities."
            )

    def _told(self, numbers: np.ndarray) -> Any:
        return float(numbers[0]) if self.is_single else numbers

    def _cells(self, values: np.ndarray) -> Any:
        cells = natural_cells(self.column, values)
        return cells[0] if self.is_single else cells
