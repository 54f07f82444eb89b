"""The discrete family: a mass for every whole number."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from made.conditionals.base import pick
from made.conditionals.logistics import LogisticMixture
from made.conditionals.numeric import NumericFamily

# Whole numbers within which a mean or a mode is summed or searched through, one by one.
_LISTED = 4096
# A logistic has less than e^-40 beyond so many scales.
_FAR_SCALES = 40.0
# The logarithm of no mass: finite, so that its gradient is 0 and no NaN.
_NOTHING = -1e30


class Discrete(NumericFamily):
    """A mass for every whole number: a discretised mixture of logistics, and atoms on top.

    p(k) = P(atom at k) + P(rest) ( G(T(k + 1/2)) - G(T(k - 1/2)) ).

    The masses of the numbers from ``low`` to ``high`` sum to 1, tails included.

    Examples
    --------
    >>> from made.columns import IntegerColumn
    >>> family = Discrete(IntegerColumn("children", low=0.0))
    >>> parameters = torch.zeros(family.n_parameters)
    >>> round(float(family.log_prob(parameters, torch.arange(200.0)).exp().sum()), 5)
    1.0
    """

    name = "discrete"

    @staticmethod
    def _log_prob(
        log_states: Tensor, mixture: LogisticMixture, codes: Tensor, rest: Tensor, missing: Tensor
    ) -> Tensor:
        state = codes[..., 0].long()
        chosen = pick(log_states, state)
        is_missing = state == missing
        cannot_be = codes[..., 2] == -torch.inf
        # Any width will do where the result is not used.
        log_width = torch.where(cannot_be, 0.0, codes[..., 2])
        log_rest = pick(log_states, rest.expand(state.shape))
        log_rest = log_rest + mixture.log_mass(codes[..., 1], log_width)
        # At an atom both add up; elsewhere the state is the rest itself.
        both = torch.logaddexp(torch.where(state == rest, _NOTHING, chosen), log_rest)
        return torch.where(is_missing, chosen, torch.where(cannot_be, -torch.inf, both))

    def mean(self, parameters: Tensor) -> Tensor:
        return self._in_chunks(self._mean, parameters, _LISTED)

    def _mean_of_rest(self, mixture: LogisticMixture) -> Tensor:
        """Return the mean of the whole numbers; where they are many, that before rounding."""
        whole = self._whole_numbers(mixture)
        if whole is None:
            return super()._mean_of_rest(mixture)
        masses = self._masses(mixture, whole.expand(len(mixture.means), -1))
        return (masses * whole).sum(-1) / masses.sum(-1)

    def mode(self, parameters: Tensor) -> Tensor:
        return self._in_chunks(self._mode, parameters, _LISTED)

    def _mode(self, parameters: Tensor) -> Tensor:
        states, (_, mixture) = self._present_states(parameters), self._split_exactly(parameters)
        candidates = self._whole_numbers(mixture)
        if candidates is None:
            scores = self._candidates(parameters, mixture)
            low = -np.inf if self.column.low is None else self.column.low
            high = np.inf if self.column.high is None else self.column.high
            rounded = np.round(self.column.inverse(scores.numpy()))
            candidates = torch.as_tensor(rounded.clip(low, high))
        atoms = self._atoms.expand(len(parameters), -1)
        candidates = torch.cat([candidates.expand(len(parameters), -1), atoms], -1)
        masses = states[:, -1:] * self._masses(mixture, candidates)
        # Atoms stand at the end, and there with the whole of their mass.
        masses[:, masses.shape[1] - len(self._atoms) :] += states[:, :-1]
        best = masses.argmax(-1, keepdim=True)
        return candidates.gather(-1, best)[:, 0]

    def _masses(self, mixture: LogisticMixture, whole: Tensor) -> Tensor:
        """Return the mixture's masses of whole numbers, shape (n_rows, n)."""
        wide = LogisticMixture(mixture.parameters[:, None], *self.column.score_limits)
        codes = self.column.codes(whole.reshape(-1).numpy(), dtype=np.float64)
        scores, log_widths = torch.as_tensor(codes[:, 1:]).view(*whole.shape, 2).unbind(-1)
        cannot_be = torch.isneginf(log_widths)
        masses = wide.log_mass(scores, log_widths.masked_fill(cannot_be, 0.0)).exp()
        return masses.masked_fill(cannot_be, 0.0)

    def _whole_numbers(self, mixture: LogisticMixture) -> Tensor | None:
        """Return all whole numbers with a mass to speak of in any row; None if they are many."""
        if not len(mixture.means):
            return None
        low, high = self.column.score_limits
        first = float((mixture.means - _FAR_SCALES * mixture.scales).min())
        last = float((mixture.means + _FAR_SCALES * mixture.scales).max())
        ends = self.column.inverse(np.clip([first, last], low, high))
        first, last = np.round(ends).tolist()
        first = first if self.column.low is None else max(first, self.column.low)
        last = last if self.column.high is None else min(last, self.column.high)
        if not last - first < _LISTED:
            return None
        return torch.arange(first, last + 1, dtype=torch.float64)
