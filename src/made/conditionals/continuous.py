"""The continuous family: a density for real numbers, and masses at values that repeat."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from made.conditionals.base import pick
from made.conditionals.logistics import LogisticMixture
from made.conditionals.numeric import NumericFamily


class Continuous(NumericFamily):
    """A density for real numbers, and masses at atoms.

    p(x) = P(atom) at an atom, else P(rest) g(T(x)) T'(x) with the density g of the mixture.

    Examples
    --------
    >>> from made.columns import ContinuousColumn
    >>> family = Continuous(ContinuousColumn("height", atoms=(0.0,), low=0.0))
    >>> parameters = torch.zeros(family.n_parameters)
    >>> values = torch.tensor([0.0, torch.inf], dtype=torch.float64)
    >>> family.cdf(parameters.expand(2, -1), values)
    tensor([0.5000, 1.0000], dtype=torch.float64)
    """

    name = "continuous"

    @staticmethod
    def _log_prob(
        log_states: Tensor, mixture: LogisticMixture, codes: Tensor, rest: Tensor, missing: Tensor
    ) -> Tensor:
        del missing
        state = codes[..., 0].long()
        log_rest = mixture.log_density(codes[..., 1]) + codes[..., 2]
        return pick(log_states, state) + torch.where(state == rest, log_rest, 0.0)

    def _mode(self, parameters: Tensor) -> Tensor:
        states, (_, mixture) = self._present_states(parameters), self._split_exactly(parameters)
        scores = self._candidates(parameters, mixture)
        wide = LogisticMixture(mixture.parameters[:, None], *self.column.score_limits)
        log_density = wide.log_density(scores) + self._log_slope_of_scores(scores)
        best = scores.gather(-1, log_density.argmax(-1, keepdim=True))[:, 0]
        # Rounding must not carry a value over a limit.
        low = -np.inf if self.column.low is None else self.column.low
        high = np.inf if self.column.high is None else self.column.high
        values = torch.as_tensor(self.column.inverse(best.numpy()).clip(low, high))
        if not len(self._atoms):
            return values
        # What stands beside an atom is not the atom.
        beside = torch.nextafter(values, values.new_tensor(torch.inf))
        values = torch.where(torch.isin(values, self._atoms), beside, values)
        mass, atom = states[:, :-1].max(-1)
        return torch.where(mass >= states[:, -1], self._atoms[atom], values)
