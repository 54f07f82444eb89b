"""Numbers: a softmax over atoms, the rest and missing; a mixture of logistics for the rest.

What densities of real numbers and masses of whole numbers have in common. Knows a fitted column;
knows nothing of networks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made.columns import Column
from made.conditionals.base import NEVER, ZERO, ConditionalFamily, LogProb
from made.conditionals.logistics import (
    N_COMPONENTS,
    LogisticMixture,
    fitted_parameters,
    standard_normal_parameters,
)
from made.conditionals.region import Interval, Region

_MODE_GRID = 257
# Rows that the start of a mixture is fitted to; below the second number it is a normal.
_MARGINAL_ROWS, _FEW_ROWS = 5000, 20
# Cells that a mean or a mode writes out at once: 64 MB, with one number for each component.
_CHUNK_CELLS = 2**23 // N_COMPONENTS


class NumericFamily(ConditionalFamily):
    """What continuous and discrete numbers share.

    With states s (an atom, the rest, missing) and the mixture G on scores z = T(x):

        P(s) = softmax(a)_s,    F(x) = sum of P(atom <= x) + P(rest) G(T(x))

    Parameters: the logits a (none if there is only the rest), then those of the mixture.
    """

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._n_state_logits = self.column.n_states if self.column.n_states > 1 else 0
        self._atoms = torch.tensor(self.column.atoms, dtype=torch.float64)
        half = self.column.half_step
        self._starts = self._score(self._atoms - half)
        self._ends = self._score(self._atoms + half)

    @property
    def n_parameters(self) -> int:
        return self._n_state_logits + 3 * N_COMPONENTS

    @property
    def n_logits(self) -> int:
        return self.column.n_states

    def layout(self, n_logits: int) -> list[int]:
        own = list(range(self.n_parameters))
        logits = own[: self._n_state_logits] or [ZERO]
        return [*logits, *[NEVER] * (n_logits - len(logits)), *own[self._n_state_logits :]]

    @classmethod
    def stacked(cls, families: Sequence[Any]) -> LogProb:
        n_logits = max(family.n_logits for family in families)
        rest = torch.tensor([family.column.rest_state for family in families])
        missing = torch.tensor([family.column.missing_state for family in families])
        limits = torch.tensor(
            [family.column.score_limits for family in families], dtype=torch.float64
        )

        def log_prob(parameters: Tensor, codes: Tensor) -> Tensor:
            device = parameters.device
            low, high = limits.to(device, parameters.dtype).unbind(-1)
            mixture = LogisticMixture(parameters[..., n_logits:], low, high)
            log_states = torch.log_softmax(parameters[..., :n_logits], -1)
            return cls._log_prob(log_states, mixture, codes, rest.to(device), missing.to(device))

        return log_prob

    def log_prob_of_codes(self, parameters: Tensor, codes: Tensor) -> Tensor:
        log_states, mixture = self._split(parameters)
        rest = torch.tensor(self.column.rest_state, device=codes.device)
        missing = torch.tensor(self.column.missing_state, device=codes.device)
        return self._log_prob(log_states, mixture, codes, rest, missing)

    @staticmethod
    @abstractmethod
    def _log_prob(
        log_states: Tensor, mixture: LogisticMixture, codes: Tensor, rest: Tensor, missing: Tensor
    ) -> Tensor:
        """Return the log-probabilities of cells; ``rest`` and ``missing`` are those states."""

    def _split(self, parameters: Tensor) -> tuple[Tensor, LogisticMixture]:
        """Return the log-probabilities of the states, and the mixture."""
        n_logits = self._n_state_logits
        mixture = LogisticMixture(parameters[..., n_logits:], *self.column.score_limits)
        if not n_logits:
            return torch.zeros_like(parameters[..., :1]), mixture
        return torch.log_softmax(parameters[..., :n_logits], -1), mixture

    def _split_exactly(self, parameters: Tensor) -> tuple[Tensor, LogisticMixture]:
        """Return the probabilities of the states, and the mixture, in float64 on the CPU."""
        log_states, mixture = self._split(parameters.detach().to("cpu", torch.float64))
        return log_states.exp(), mixture

    def _score(self, values: Tensor) -> Tensor:
        return torch.as_tensor(self.column.transform(values.numpy()))

    def cdf(self, parameters: Tensor, values: Tensor) -> Tensor:
        states, mixture = self._split_exactly(parameters)
        at = values.detach().to("cpu", torch.float64)
        # Nothing lies below what is missing.
        at = torch.where(torch.isnan(at), -torch.inf, at)
        stop = self._score(torch.floor(at) + 0.5 if self.column.discrete else at)
        mass = states[..., self.column.rest_state] * mixture.mass_between(
            torch.full_like(stop, self.column.score_limits[0]), stop
        )
        # An infinite value is above all, the farthest score not.
        mass = torch.where(torch.isposinf(at), states[..., self.column.rest_state], mass)
        passed = torch.nn.functional.pad(states[..., : len(self._atoms)].cumsum(-1), (1, 0))
        place = torch.searchsorted(self._atoms, at, right=True)
        below = passed.expand(*place.shape, -1).gather(-1, place[..., None])[..., 0]
        return (mass + below).clamp(max=1).to(values.device)

    def mass(self, parameters: Tensor, region: Region) -> Tensor:
        states, mixture = self._split_exactly(parameters)
        total = torch.zeros(states.shape[:-1], dtype=torch.float64)
        for interval in region.intervals:
            start, stop = self._reach(interval)
            rest = mixture.mass_between(start.expand(total.shape), stop.expand(total.shape))
            total = total + states[..., self.column.rest_state] * rest
        atoms = Region(region.intervals).contains(self._atoms)
        total = total + (states[..., : len(self._atoms)] * atoms).sum(-1)
        if region.missing and self.column.missing:
            total = total + states[..., self.column.missing_state]
        return total.clamp(max=1).to(parameters.device)

    def _reach(self, interval: Interval) -> tuple[Tensor, Tensor]:
        """Return the scores between which the mixture's mass of an interval lies."""
        low, high = float(interval.low), float(interval.high)
        if self.column.discrete:
            # The least and the largest whole number inside, and half a step beyond.
            low, high = whole_ends(interval)
            low, high = (low - 0.5, high + 0.5) if low <= high else (0.0, 0.0)
        ends = self._score(torch.tensor([low, max(low, high)], dtype=torch.float64))
        return ends[0], ends[1]

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        return self._draw(parameters, uniforms, missing=True)

    def sample_in(self, parameters: Tensor, region: Region, uniforms: Tensor) -> Tensor:
        at = uniforms.to("cpu", torch.float64)
        pieces = [Region((part,)) for part in region.intervals]
        if region.missing:
            pieces.append(Region((), missing=True))
        passed = torch.stack([self.mass(parameters, piece) for piece in pieces], -1).cumsum(-1)
        wanted = at * passed[..., -1]
        place = torch.searchsorted(passed, wanted[..., None], right=True)[..., 0]
        place = place.clamp(max=len(pieces) - 1)
        result = torch.full(uniforms.shape, torch.nan, dtype=torch.float64)
        for number, part in enumerate(region.intervals):
            # What of the piece lies below is added to what lies below the piece.
            within = wanted - (passed[..., number - 1] if number else 0.0)
            below = Region((Interval(-torch.inf, part.low, True, not part.includes_low),))
            level = (self.mass(parameters, below) + within).clamp(0, 1 - 1e-16)
            low, high = self._ends_inside(part)
            # Rounding must not carry a draw out of its piece.
            values = self.sample(parameters, level).nan_to_num(high, high, low).clamp(low, high)
            result = torch.where(place == number, values, result)
        return result

    def _ends_inside(self, part: Interval) -> tuple[float, float]:
        """Return the least and the largest value that can be and lies in the interval."""
        if self.column.discrete:
            low, high = whole_ends(part)
        else:
            low = part.low if part.includes_low else np.nextafter(part.low, np.inf)
            high = part.high if part.includes_high else np.nextafter(part.high, -np.inf)
        lowest = -np.inf if self.column.low is None else self.column.low
        highest = np.inf if self.column.high is None else self.column.high
        return max(low, lowest), min(high, highest)

    def quantile(self, parameters: Tensor, levels: Tensor) -> Tensor:
        """Return the value at which the cdf, given that the cell is not missing, passes levels."""
        return self._draw(parameters, levels, missing=False)

    def _draw(self, parameters: Tensor, uniforms: Tensor, *, missing: bool) -> Tensor:
        from made.conditionals import quantiles  # Compiled code: slow to import.

        draws = uniforms.reshape(-1).to("cpu", torch.float64).contiguous()
        flat = parameters.expand(*uniforms.shape, -1).reshape(len(draws), self.n_parameters)
        states, mixture = self._split_exactly(flat)
        if not missing:
            states = self._present_states(flat)
        n_atoms = len(self._atoms)
        low, high = self.column.score_limits
        scores = np.empty(len(draws))
        places, gaps = np.empty(len(draws), dtype=np.int64), np.empty(len(draws), dtype=np.int64)
        quantiles.inverse_cdf(
            draws.numpy(),
            states[:, :n_atoms].contiguous().numpy(),
            states[:, n_atoms].contiguous().numpy(),
            self._starts.numpy(),
            self._ends.numpy(),
            mixture.weights.contiguous().numpy(),
            mixture.means.contiguous().numpy(),
            mixture.scales.contiguous().numpy(),
            low,
            high,
            scores,
            places,
            gaps,
        )
        values = self._values_of(scores, gaps)
        if n_atoms:
            values = np.where(places >= 0, self._atoms.numpy()[places.clip(min=0)], values)
        values = np.where(places == quantiles.MISSING, np.nan, values)
        return torch.as_tensor(values, device=uniforms.device).view(uniforms.shape)

    def _values_of(self, scores: np.ndarray, gaps: np.ndarray) -> np.ndarray:
        """Return the values of scores that lie beyond ``gaps`` atoms."""
        column = self.column
        values = column.inverse(scores)
        lowest = np.full(len(scores), -np.inf if column.low is None else column.low)
        highest = np.full(len(scores), np.inf if column.high is None else column.high)
        if column.discrete:
            values = np.floor(values + 0.5)
            # Rounding must not carry a value on or over an atom: their masses are apart.
            edges = np.array([-np.inf, *column.atoms, np.inf])
            lowest = np.maximum(lowest, edges[gaps] + 1)
            highest = np.minimum(highest, edges[gaps + 1] - 1)
            # Between neighbours there is nothing: the atom above is meant.
            highest = np.where(highest < lowest, lowest, highest)
        return np.clip(values, lowest, highest)

    def _present_states(self, parameters: Tensor) -> Tensor:
        """Return the probabilities of atoms and the rest, given that the cell is not missing."""
        if not self._n_state_logits:
            return torch.ones((*parameters.shape[:-1], 1), dtype=torch.float64)
        logits = parameters[..., : len(self._atoms) + 1].detach().to("cpu", torch.float64)
        return torch.softmax(logits, -1)

    def mean(self, parameters: Tensor) -> Tensor:
        return self._in_chunks(self._mean, parameters, 1)

    def _mean(self, parameters: Tensor) -> Tensor:
        states, (_, mixture) = self._present_states(parameters), self._split_exactly(parameters)
        atoms = (states[:, :-1] * self._atoms).sum(-1)
        return atoms + states[:, -1] * self._mean_of_rest(mixture)

    def _mean_of_rest(self, mixture: LogisticMixture) -> Tensor:
        """Return the mean of T^-1(z) under the mixture.

        E[h] = h(c) + integral of h' (1 - G) above c - integral of h' G below c, for any c; h is
        piecewise linear, and the integrals over a logistic are closed.
        """
        knots = torch.tensor(self.column.scores, dtype=torch.float64)
        low, high = self.column.score_limits
        inner = knots[(knots > low) & (knots < high)]
        edges = torch.cat([knots.new_tensor([low]), inner, knots.new_tensor([high])])
        slopes = torch.exp(-self._log_slope_of_scores((edges[1:] + edges[:-1]) / 2))
        middle = len(edges) // 2
        shape = mixture.means.shape[:-1]
        total = torch.as_tensor(self.column.inverse(edges[middle].numpy())).expand(shape)
        for piece in range(len(slopes)):
            start, stop = edges[piece].expand(shape), edges[piece + 1].expand(shape)
            if piece >= middle:
                total = total + slopes[piece] * mixture.integral_of_tail(start, stop)
            else:
                total = total - slopes[piece] * mixture.integral_of_cdf(start, stop)
        return total

    def _log_slope_of_scores(self, scores: Tensor) -> Tensor:
        return torch.as_tensor(self.column.log_slope(self.column.inverse(scores.numpy())))

    def mode(self, parameters: Tensor) -> Tensor:
        """The likeliest atom, if that is likelier than the rest; else where the rest is densest.

        Of whole numbers it is the likeliest one. Where the rest is densest is found among the
        quantiles, means, limits and borders of the pieces of the scale.
        """
        return self._in_chunks(self._mode, parameters, 2 * _MODE_GRID)

    @abstractmethod
    def _mode(self, parameters: Tensor) -> Tensor:
        """Return the modes of a few rows, parameters (n_rows, n_parameters)."""

    def _candidates(self, parameters: Tensor, mixture: LogisticMixture) -> Tensor:
        """Return scores, shape (n_rows, n), near one of which the mixture's mode is."""
        from made.conditionals import quantiles

        n_rows = len(parameters)
        shares = (np.arange(_MODE_GRID) + 0.5) / _MODE_GRID
        weights, means, scales = (
            np.repeat(part.contiguous().numpy(), _MODE_GRID, axis=0)
            for part in (mixture.weights, mixture.means, mixture.scales)
        )
        n_draws = n_rows * _MODE_GRID
        scores, places = np.empty(n_draws), np.empty(n_draws, dtype=np.int64)
        low, high = self.column.score_limits
        quantiles.inverse_cdf(
            np.tile(shares, n_rows), np.empty((n_draws, 0)), np.ones(n_draws), np.empty(0),
            np.empty(0), weights, means, scales, low, high, scores, places, places.copy(),
        )  # fmt: skip
        knots = np.array(self.column.scores)
        # The density jumps where T bends: both sides are looked at, and not the knot itself, which
        # may be an atom.
        step = 1e-6 * np.diff(knots)
        fixed = np.concatenate([knots[:-1] + step, knots[1:] - step, [low, high]]).clip(low, high)
        return torch.cat(
            [
                mixture.means.clamp(low, high),
                torch.as_tensor(scores).view(n_rows, _MODE_GRID),
                torch.as_tensor(fixed).expand(n_rows, -1),
            ],
            -1,
        )

    def _in_chunks(
        self, function: Callable[[Tensor], Tensor], parameters: Tensor, cells_per_row: int
    ) -> Tensor:
        """Apply ``function`` to some rows after the other, so that memory is bounded."""
        flat = parameters.reshape(-1, self.n_parameters)
        parts = [function(part) for part in flat.split(max(_CHUNK_CELLS // cells_per_row, 1))]
        return torch.cat(parts).to(parameters.device).view(parameters.shape[:-1])

    def marginal_parameters(self, values: np.ndarray) -> Tensor:
        codes = self.column.codes(values, np.float64)
        counts = np.bincount(codes[:, 0].astype(np.int64), minlength=self.column.n_states) + 0.5
        logits = torch.as_tensor(np.log(counts / counts.sum()), dtype=torch.float32)
        is_rest = (codes[:, 0] == self.column.rest_state) & np.isfinite(codes[:, 2])
        scores, random = codes[is_rest], np.random.default_rng(0)
        if len(scores) > _MARGINAL_ROWS:
            scores = scores[random.choice(len(scores), _MARGINAL_ROWS, replace=False)]
        at = scores[:, 1]
        if self.column.discrete:
            # A whole number has the stretch of its width, not its middle alone.
            at = at + np.exp(scores[:, 2]) * (random.random(len(at)) - 0.5)
        mixture = fitted_parameters(at) if len(at) >= _FEW_ROWS else standard_normal_parameters()
        return torch.cat([logits[: self._n_state_logits], mixture])


def whole_ends(interval: Interval) -> tuple[float, float]:
    """Return the least and the largest whole number in an interval; the first is above if none is.

    Examples
    --------
    >>> whole_ends(Interval(2, 5.5, includes_low=False))
    (3.0, 5.0)
    """
    low, high = np.float64(interval.low), np.float64(interval.high)
    low = np.ceil(low) if interval.includes_low else np.floor(low) + 1
    high = np.floor(high) if interval.includes_high else np.ceil(high) - 1
    return float(low), float(high)
