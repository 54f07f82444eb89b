"""The distribution of one column given evidence, itself: probabilities, quantiles, mean, draws.

A mixture of conditional families, one for each beginning (or each cell of a region of evidence),
weighted by Bayes; or, where the column cannot come right after the evidence, weighted draws. Knows
families and weights; knows nothing of where they come from.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made.columns import BinaryColumn, CategoricalColumn, Column, DatetimeColumn, NumericColumn
from made.conditionals import ConditionalFamily
from made.conditionals.region import Interval, Region
from made.errors import OptionError, QuestionError
from made.queries.events import region_of_value
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


@dataclass(frozen=True)
class FamilyMixture(Conditional):
    """sum_g w_g p_g(x): families with the parameters of several beginnings, weighted.

    Attributes
    ----------
    parts : tuple of (ConditionalFamily, Tensor)
        Families, and their parameters, shape (n_rows, n_of_family, n_parameters). Networks that
        were fitted to other rows have other scales, and so families of their own.
    weights : ndarray, shape (n_rows, n_parts)
        In the order of all parts, summing to 1 in every row.
    """

    parts: tuple[tuple[ConditionalFamily, Tensor], ...]
    weights: np.ndarray

    @property
    def n_evidence(self) -> int:
        return len(self.weights)

    def log_prob(self, value: Any) -> Any:
        if self.is_single or np.ndim(value) == 0:
            values = np.full(len(self.weights), value_of(self.column, value))
        else:
            values = np.array([value_of(self.column, cell) for cell in value])
        return self._told(self.log_prob_of_values(values))

    def log_prob_of_values(self, values: np.ndarray) -> np.ndarray:
        """Return the log mass or density of values as numbers, NaN missing, ``(n_rows,)``."""
        spread = torch.as_tensor(np.ascontiguousarray(values, dtype=np.float64))[:, None]
        log_probs = self._of_parts(
            lambda family, parameters: family.log_prob(
                parameters, spread.expand(parameters.shape[:-1])
            )
        )
        with np.errstate(divide="ignore"):
            return np.logaddexp.reduce(log_probs + np.log(self.weights), axis=1)

    def mass_of(self, region: Region) -> np.ndarray:
        return (self._masses(region) * self.weights).sum(axis=1)

    def cdf_of_values(self, values: np.ndarray) -> np.ndarray:
        """Return the probability, given that a cell is there, of at most ``values``, a row each."""
        at = torch.as_tensor(np.ascontiguousarray(values, dtype=np.float64))[:, None]
        passed = self._of_parts(
            lambda family, parameters: family.cdf(parameters, at.expand(parameters.shape[:-1]))
        )
        present = 1 - (self._masses(MISSING) * self.weights).sum(axis=1)
        return (passed * self.weights).sum(axis=1) / np.where(present > 0, present, 1)

    def mode_values(self) -> np.ndarray:
        if isinstance(self.column, (BinaryColumn, CategoricalColumn)):
            n_levels = len(self.column.levels)
            if not n_levels:
                return np.full(len(self.weights), np.nan)
            return np.argmax(self.level_masses(), axis=1).astype(np.float64)
        # The best of the parts' own modes, by the density of all together.
        candidates = self._of_parts(lambda family, parameters: family.mode(parameters))
        scores = [self.log_prob_of_values(of_part) for of_part in candidates.T]
        best = np.argmax(np.stack(scores, 1), axis=1)
        return candidates[np.arange(len(candidates)), best]

    def level_masses(self) -> np.ndarray:
        if isinstance(self.column, CategoricalColumn) or self.column.missing:
            families: tuple[tuple[Any, Tensor], ...] = self.parts
            masses = [
                (family.probabilities(parameters).cpu().numpy(), parameters.shape[1])
                for family, parameters in families
            ]
            starts = np.cumsum([0, *(n_parts for _, n_parts in masses)])
            together = [
                np.einsum("rpl,rp->rl", of_family, self.weights[:, start : start + n_parts])
                for (of_family, n_parts), start in zip(masses, starts, strict=False)
            ]
            return np.sum(together, axis=0)
        one = self.mass_of(Region.of_values([1.0]))
        return np.stack([1 - one, one], 1)

    def mean_values(self) -> np.ndarray:
        means = self._of_parts(lambda family, parameters: family.mean(parameters))
        return (means * self._present_weights()).sum(axis=1)

    def quantile_values(self, level: float) -> np.ndarray:
        assert isinstance(self.column, NumericColumn)

        def of_parts(level: float) -> np.ndarray:
            return self._of_parts(
                lambda family, parameters: family.quantile(
                    parameters, torch.full(parameters.shape[:-1], level, dtype=torch.float64)
                )
            )

        # The cdf of a mixture reaches the level between the quantiles of its parts.
        own = of_parts(level)
        low, high = np.nextafter(own.min(axis=1), -np.inf), own.max(axis=1)
        shares = self._present_weights()
        missing = self._masses(MISSING)
        shares = shares / np.where(missing < 1, 1 - missing, 1)
        for _ in range(_BISECTIONS):
            middle = np.floor(low / 2 + high / 2) if self.column.discrete else low / 2 + high / 2
            at = torch.as_tensor(middle)[:, None]
            passed = self._of_parts(
                lambda family, parameters, at=at: family.cdf(
                    parameters, at.expand(parameters.shape[:-1])
                )
            )
            reached = (passed * shares).sum(axis=1) >= level * (1 - 1e-12)
            high, low = np.where(reached, middle, high), np.where(reached, low, middle)
            if (high - low <= 1e-12 * np.maximum(np.abs(high), 1e-300)).all():
                break
        return _snapped(high, self.column)

    def _masses(self, region: Region) -> np.ndarray:
        """Return the mass of a region under each part, shape ``(n_rows, n_parts)``."""
        return self._of_parts(lambda family, parameters: family.mass(parameters, region))

    def _of_parts(self, function: Callable[[Any, Tensor], Tensor]) -> np.ndarray:
        """Return what a function gives of each part, side by side, float64."""
        found = [function(family, parameters) for family, parameters in self.parts]
        return torch.cat([each.double().cpu() for each in found], 1).numpy()

    def _present_weights(self) -> np.ndarray:
        """Return the weights, given that the cell is not missing."""
        weights = self.weights * (1 - self._masses(MISSING))
        total = weights.sum(axis=1, keepdims=True)
        # Where it is certain that a cell is missing, what it would be is what the parts say.
        return np.where(total > 0, weights / np.where(total > 0, total, 1), self.weights)

    def draw_values(self, choice: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        passed = self._present_weights().cumsum(axis=1)
        part = (passed <= choice[:, None] * passed[:, -1:]).sum(axis=1)
        part = part.clip(max=passed.shape[1] - 1)
        result, start = np.empty(len(choice)), 0
        for family, parameters in self.parts:
            stop = start + parameters.shape[1]
            rows = np.flatnonzero((part >= start) & (part < stop))
            chosen = parameters[torch.as_tensor(rows), torch.as_tensor(part[rows] - start)]
            known = known_values(self.column)
            values = family.sample_in(chosen, known, torch.as_tensor(drawn[rows]))
            result[rows] = values.double().cpu().numpy()
            start = stop
        return result

    def repeated(self, times: int) -> FamilyMixture:
        return replace(
            self,
            parts=tuple((f, p.repeat_interleave(times, 0)) for f, p in self.parts),
            weights=self.weights.repeat(times, 0),
        )


def _snapped(values: np.ndarray, column: NumericColumn) -> np.ndarray:
    """Return values of which those that closed in on an atom are that atom."""
    if not column.atoms or column.discrete:
        return values
    atoms = np.array(column.atoms)
    place = np.searchsorted(atoms, values)
    for neighbour in (place.clip(max=len(atoms) - 1), (place - 1).clip(min=0)):
        atom = atoms[neighbour]
        close = np.abs(atom - values) <= 1e-9 * np.maximum(np.abs(atom), 1e-9)
        values = np.where(close, atom, values)
    return values


@dataclass(frozen=True)
class WeightedValues(Conditional):
    """Values with weights: all that a column can have, or draws of it.

    Attributes
    ----------
    values : ndarray, shape (n_values,)
        NaN where missing.
    weights : ndarray, shape (n_values,)
        Summing to 1.
    """

    values: np.ndarray
    weights: np.ndarray

    def log_prob(self, value: Any) -> Any:
        if isinstance(self.column, NumericColumn) and not self.column.discrete:
            raise QuestionError(
                "Draws tell no density. Ask for cdf, quantile or mean, or ask the mixture "
                '(ensemble="mixture").'
            )
        at = value_of(self.column, value)
        region = region_of_value(at)
        with np.errstate(divide="ignore"):
            return self._told(np.log(self.mass_of(region)))

    def mass_of(self, region: Region) -> np.ndarray:
        inside = region.contains(torch.as_tensor(self.values)).numpy()
        return np.array([self.weights[inside].sum()])

    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the values that are not missing in rising order, and the share up to each."""
        present = ~np.isnan(self.values)
        if not self.weights[present].sum() > 0:
            return np.array([np.nan]), np.array([1.0])
        order = np.argsort(self.values[present], kind="stable")
        passed = self.weights[present][order].cumsum()
        return self.values[present][order], passed / passed[-1]

    def mode_values(self) -> np.ndarray:
        values, _ = self._sorted()
        if isinstance(self.column, NumericColumn) and not self.column.discrete:
            # Draws of real numbers hardly repeat: the median stands for the mode.
            return self.quantile_values(0.5)
        different = np.unique(values)
        masses = [self.weights[self.values == value].sum() for value in different]
        return different[[int(np.argmax(masses))]]

    def level_masses(self) -> np.ndarray:
        n_levels = len(self.levels)
        places = np.where(np.isnan(self.values), n_levels, self.values).astype(np.int64)
        return np.bincount(places, self.weights, minlength=n_levels + 1)[None, :n_levels]

    def quantile_values(self, level: float) -> np.ndarray:
        values, passed = self._sorted()
        return values[[np.searchsorted(passed, level * (1 - 1e-12)).clip(max=len(values) - 1)]]

    def mean_values(self) -> np.ndarray:
        values, passed = self._sorted()
        return np.array([(values * np.diff(passed, prepend=0.0)).sum()])

    def draw_values(self, choice: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        del drawn
        values, passed = self._sorted()
        return values[np.searchsorted(passed, choice, side="right").clip(max=len(values) - 1)]

    def repeated(self, times: int) -> WeightedValues:
        # One row of evidence, whose draws are independent anyway.
        del times
        return self

    @property
    def n_evidence(self) -> int:
        return 1


def known_values(column: Column) -> Region:
    """Return the region of the values that can stand in a table: not missing, not unseen."""
    if isinstance(column, CategoricalColumn):
        return Region((Interval(0.0, len(column.levels) - 1.0),))
    return Region((Interval(-np.inf, np.inf),))
