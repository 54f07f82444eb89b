"""The categorical family: a softmax over classes, shares within the rare class, unseen levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made.columns import Column
from made.conditionals.base import ConditionalFamily, LogProb, pick
from made.conditionals.region import Region

# Levels times rows that probabilities are written out for at once: 64 MB.
_CHUNK_CELLS = 2**23


class Categorical(ConditionalFamily):
    """p(level) = (1 - unseen) softmax(a)_class share(level within its class).

    A class is a common level, the rare ones together, or missing; ``unseen`` is a fixed mass kept
    for what training rows did not have (`made.columns.CategoricalColumn`). The parameters are the
    logits a of the classes. A column of one class has no parameters.

    Examples
    --------
    >>> from made.columns import CategoricalColumn
    >>> grade = CategoricalColumn("grade", levels=("A", "B", "C"), counts=(50, 30, 18), n_rows=98)
    >>> family = Categorical(grade)
    >>> every_level_and_unseen = torch.arange(4.0)
    >>> family.log_prob(torch.zeros(4, 3), every_level_and_unseen).exp()
    tensor([0.3300, 0.3300, 0.3300, 0.0100])
    """

    name = "categorical"

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._class_of = torch.as_tensor(self.column.class_of)
        self._shares = torch.as_tensor(np.exp(self.column.log_shares))

    @property
    def n_parameters(self) -> int:
        return self.column.n_classes if self.column.n_classes > 1 else 0

    @property
    def n_logits(self) -> int:
        return self.column.n_classes

    @classmethod
    def stacked(cls, families: Sequence[Any]) -> LogProb:
        return cls._log_prob

    def log_prob_of_codes(self, parameters: Tensor, codes: Tensor) -> Tensor:
        return self._log_prob(parameters, codes) if self.n_parameters else codes[..., 1]

    @staticmethod
    def _log_prob(parameters: Tensor, codes: Tensor) -> Tensor:
        # -1 is a level that was never seen: its mass does not depend on the parameters.
        classes = codes[..., 0].long()
        chosen = pick(torch.log_softmax(parameters, -1), classes.clamp(min=0))
        return torch.where(classes < 0, 0.0, chosen) + codes[..., 1]

    def probabilities(self, parameters: Tensor) -> Tensor:
        """Return the probability of each level, float64, shape ``(..., n_levels)``."""
        return self._of_classes(parameters)[..., self._class_of] * self._shares

    def _of_classes(self, parameters: Tensor) -> Tensor:
        if not self.n_parameters:
            return parameters.new_ones((*parameters.shape[:-1], 1), dtype=torch.float64)
        return torch.softmax(parameters.to(torch.float64), -1)

    def _missing(self, parameters: Tensor) -> Tensor:
        mass = self._of_classes(parameters)[..., -1] * (1 - self.column.unseen_mass)
        return mass if self.column.missing else torch.zeros_like(mass)

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        flat, draws = parameters.flatten(0, -2), uniforms.reshape(-1).to(torch.float64)
        result = torch.empty_like(draws)
        n_levels = len(self._class_of)
        step = max(_CHUNK_CELLS // max(n_levels, 1), 1)
        for start in range(0, len(draws), step):
            part = slice(start, start + step)
            wanted = draws[part, None].contiguous()
            passed = self.probabilities(flat[part]).cumsum(-1)
            place = torch.searchsorted(passed, wanted, right=True)[:, 0].to(torch.float64)
            known = passed[:, -1] if n_levels else torch.zeros_like(draws[part])
            is_missing = (place == n_levels) & (draws[part] < known + self._missing(flat[part]))
            result[part] = torch.where(is_missing, torch.nan, place)
        if not self.column.unseen_mass:
            # The last bound is 1 whatever the rounding.
            last = torch.nan if self.column.missing else n_levels - 1.0
            result = torch.where(result == n_levels, last, result)
        return result.view(uniforms.shape)

    def sample_in(self, parameters: Tensor, region: Region, uniforms: Tensor) -> Tensor:
        """Draw a class by its mass in the region, then one of its levels there by their shares."""
        flat, draws = parameters.flatten(0, -2), uniforms.reshape(-1).to(torch.float64)
        inside, shares = self._inside(region)
        n_levels = len(self._class_of)
        # Beside the classes: what was never seen, and missing.
        ends = torch.tensor([n_levels, torch.nan], dtype=torch.float64)
        result = torch.empty_like(draws)
        for part in _slices(len(draws), _CHUNK_CELLS // max(shares.shape[-1], 1)):
            masses = self._of_classes(flat[part]) * shares
            unseen = masses.new_full((len(masses), 1), float(inside[n_levels]))
            missing = self._missing(flat[part])[:, None] * float(region.missing)
            masses = torch.cat([masses, unseen * self.column.unseen_mass, missing], 1)
            passed = masses.cumsum(1)
            wanted = draws[part, None] * passed[:, -1:]
            place = torch.searchsorted(passed, wanted, right=True)[:, 0]
            # The last class that has mass, whatever the rounding.
            place = torch.minimum(place, (masses > 0).int().cumsum(1).argmax(1))
            below = (passed - masses).gather(1, place[:, None])
            within = (wanted - below) / masses.gather(1, place[:, None])
            n_classes = masses.shape[1] - 2
            values = ends[(place - n_classes).clamp(min=0)]
            is_level = place < n_classes
            chosen = self._level_within(place[is_level], within[is_level, 0], inside[:-1])
            values[is_level] = chosen.to(torch.float64)
            result[part] = values
        return result.view(uniforms.shape)

    def _inside(self, region: Region) -> tuple[Tensor, Tensor]:
        """Return which levels, and the unseen, lie in a region, and what of each class does."""
        places = torch.arange(len(self._class_of) + 1, dtype=torch.float64)
        inside = region.contains(places)
        # By class: of very many levels, most share one.
        shares = torch.zeros(self.column.n_classes, dtype=torch.float64)
        return inside, shares.index_add_(0, self._class_of, self._shares * inside[:-1])

    def _level_within(self, classes: Tensor, uniforms: Tensor, inside: Tensor) -> Tensor:
        """Return the level of each class at which its share of the region passes a uniform."""
        order = torch.argsort(self._class_of, stable=True)
        order = order[inside[order]]
        passed = self._shares[order].cumsum(0)
        classes_in_order = self._class_of[order]
        first = torch.searchsorted(classes_in_order, classes)
        last = torch.searchsorted(classes_in_order, classes, right=True) - 1
        start = torch.where(first > 0, passed[(first - 1).clamp(min=0)], 0.0)
        wanted = start + uniforms * (passed[last] - start)
        place = torch.searchsorted(passed, wanted, right=True)
        return order[torch.maximum(torch.minimum(place, last), first)]

    def cdf(self, parameters: Tensor, values: Tensor) -> Tensor:
        passed = self.probabilities(parameters).cumsum(-1)
        unseen = self.column.unseen_mass
        n_levels = len(self._class_of)
        bounds = torch.nn.functional.pad(passed, (1, 0))
        place = values.to(torch.float64).nan_to_num(-1).floor().clamp(-1, n_levels - 1).long() + 1
        below = bounds.expand(*values.shape, -1).gather(-1, place[..., None])[..., 0]
        return below + (values >= n_levels).to(torch.float64) * unseen

    def mass(self, parameters: Tensor, region: Region) -> Tensor:
        inside, shares = self._inside(region)
        if not len(shares):
            return parameters.new_zeros(parameters.shape[:-1], dtype=torch.float64)
        mass = (self._of_classes(parameters) * shares).sum(-1)
        mass = mass + float(inside[-1]) * self.column.unseen_mass
        return mass + self._missing(parameters) if region.missing else mass

    def mode(self, parameters: Tensor) -> Tensor:
        if not len(self._class_of):
            return torch.full(parameters.shape[:-1], torch.nan, dtype=torch.float64)
        return self.probabilities(parameters).argmax(-1).to(torch.float64)

    def mean(self, parameters: Tensor) -> Tensor:
        probabilities = self.probabilities(parameters)
        places = torch.arange(len(self._class_of), dtype=torch.float64)
        return (probabilities * places).sum(-1) / probabilities.sum(-1)

    def marginal_parameters(self, values: np.ndarray) -> Tensor:
        classes = self.column.codes(values)[:, 0].astype(np.int64)
        counts = np.bincount(classes[classes >= 0], minlength=self.column.n_classes) + 0.5
        start = torch.as_tensor(np.log(counts / counts.sum()), dtype=torch.float32)
        return start[: self.n_parameters]


def _slices(n_rows: int, step: int) -> list[slice]:
    """Return slices of at least one row each that cover all rows."""
    step = max(step, 1)
    return [slice(start, start + step) for start in range(0, n_rows, step)]
