"""A conditional as a mixture of families: one for each beginning, or each cell of the evidence.

Knows families, their parameters and weights; knows nothing of where they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made.columns import BinaryColumn, CategoricalColumn, NumericColumn
from made.conditionals import ConditionalFamily
from made.conditionals.region import Region
from made.queries.conditional import MISSING, Conditional
from made.queries.masses import known_values
from made.table import value_of

_BISECTIONS = 80


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
