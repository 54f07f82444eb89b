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
        flat, draws = parameters.flatten(0, -2), uniforms.reshape(-1).to(torch.float64)
        n_levels = len(self._class_of)
        # Levels, what was never seen, missing.
        values = torch.cat([torch.arange(n_levels + 1.0), torch.tensor([torch.nan])]).double()
        inside = region.contains(values)
        places = torch.nonzero(inside)[:, 0]
        result = torch.empty_like(draws)
        step = max(_CHUNK_CELLS // max(n_levels, 1), 1)
        for start in range(0, len(draws), step):
            part = slice(start, start + step)
            known = self.probabilities(flat[part])
            unseen = known.new_full((len(known), 1), self.column.unseen_mass)
            masses = torch.cat([known, unseen, self._missing(flat[part])[:, None]], 1)[:, inside]
            passed = masses.cumsum(1)
            wanted = draws[part, None] * passed[:, -1:]
            place = torch.searchsorted(passed, wanted, right=True)[:, 0]
            # The last outcome that has mass, whatever the rounding.
            last = (masses > 0).int().cumsum(1).argmax(1)
            result[part] = values[places[torch.minimum(place, last)]]
        return result.view(uniforms.shape)

    def cdf(self, parameters: Tensor, values: Tensor) -> Tensor:
        passed = self.probabilities(parameters).cumsum(-1)
        unseen = self.column.unseen_mass
        n_levels = len(self._class_of)
        bounds = torch.nn.functional.pad(passed, (1, 0))
        place = values.to(torch.float64).nan_to_num(-1).floor().clamp(-1, n_levels - 1).long() + 1
        below = bounds.expand(*values.shape, -1).gather(-1, place[..., None])[..., 0]
        return below + (values >= n_levels).to(torch.float64) * unseen

    def mass(self, parameters: Tensor, region: Region) -> Tensor:
        places = torch.arange(len(self._class_of) + 1, dtype=torch.float64)
        inside = region.contains(places)
        # By class: of very many levels, most share one.
        classes = self._of_classes(parameters)
        shares = torch.zeros(classes.shape[-1], dtype=torch.float64)
        shares.index_add_(0, self._class_of, self._shares * inside[:-1])
        mass = (classes * shares).sum(-1)
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
