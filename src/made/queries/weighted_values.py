"""A conditional as values with weights: all that can be, or draws that evidence was weighed into.

Knows values and weights; knows nothing of where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from made.columns import NumericColumn
from made.conditionals.region import Region
from made.errors import QuestionError
from made.queries.conditional import Conditional
from made.queries.events import region_of_value
from made.table import value_of


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
