"""A mixture of logistics on the scale of scores, each truncated to the limits of a column.

Densities and masses of small and of wide pieces, all in log space. Knows scores; knows nothing
of values, atoms or columns.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtri
from torch import Tensor

from made.columns.mixtures import N_COMPONENTS, fit_normals
from made.columns.numeric import FARTHEST_SCORE

# log s lies between -8 and 4: no component can shrink to a point and grow without end, and none
# reaches what lies beyond the farthest score.
_MIDDLE_LOG_SCALE, _REACH_LOG_SCALE = -2.0, 6.0
# Means go this far beyond the limits: a logistic seen from 8 scales away is an exponential
# anyway, and from farther away its mass within the limits would drown in rounding.
_BEYOND = 8.0
# Where there is no limit, a mean of scores has its own.
_LARGEST_MEAN = 12.0
_TINY_LOG_WIDTH = -60.0
# Training starts no narrower than this.
_LEAST_START = 0.01


class LogisticMixture:
    """sum_k w_k f_k(z), with f_k a logistic (m_k, s_k) restricted to ``low <= z <= high``.

    Parameters
    ----------
    parameters : Tensor, shape (..., 3 n_components)
        Logits of the weights, means, and raw scales: log s = 6 tanh((raw + 2) / 6) - 2. Means are
        cut at 8 s beyond the limits.
    low, high : float or Tensor, shape (...)
        Finite; the farthest score where there is no limit.
    """

    def __init__(self, parameters: Tensor, low: float | Tensor, high: float | Tensor) -> None:
        self.parameters = parameters
        self.logits, raw_means, raw_scales = parameters.chunk(3, dim=-1)
        raw = (raw_scales - _MIDDLE_LOG_SCALE) / _REACH_LOG_SCALE
        self.log_scales = torch.tanh(raw) * _REACH_LOG_SCALE + _MIDDLE_LOG_SCALE
        self.scales = torch.exp(self.log_scales)
        self._per_scale = torch.exp(-self.log_scales)
        self.low = torch.as_tensor(low, dtype=raw.dtype, device=raw.device)[..., None]
        self.high = torch.as_tensor(high, dtype=raw.dtype, device=raw.device)[..., None]
        self._is_limited = bool(
            (self.low > -FARTHEST_SCORE).any() or (self.high < FARTHEST_SCORE).any()
        )
        means = raw_means.clamp(-_LARGEST_MEAN, _LARGEST_MEAN)
        if self._is_limited:
            means = torch.maximum(means, self.low - _BEYOND * self.scales)
            means = torch.minimum(means, self.high + _BEYOND * self.scales)
        self.means = means

    @property
    def weights(self) -> Tensor:
        return torch.softmax(self.logits, -1)

    @cached_property
    def _log_weights_per_mass(self) -> Tensor:
        """log w_k, less the logarithm of the mass that k would have within the limits."""
        log_weights = torch.log_softmax(self.logits, -1)
        if not self._is_limited:
            return log_weights
        start = (self.low - self.means) * self._per_scale
        stop = (self.high - self.means) * self._per_scale
        log_width = torch.log(self.high - self.low) - self.log_scales
        return log_weights - _log_mass(start, stop, log_width)

    def log_density(self, scores: Tensor) -> Tensor:
        """Return the log density of ``scores``, shape (...), which must lie within the limits."""
        t = (scores[..., None] - self.means) * self._per_scale
        log_components = t - 2 * F.softplus(t) - self.log_scales
        return torch.logsumexp(self._log_weights_per_mass + log_components, -1)

    def log_mass(self, scores: Tensor, log_widths: Tensor) -> Tensor:
        """Return the log mass of the pieces with middles ``scores`` and widths, shape (...)."""
        log_width = log_widths[..., None] - self.log_scales
        middle = (scores[..., None] - self.means) * self._per_scale
        half = torch.exp(log_width) / 2
        log_components = _log_mass(middle - half, middle + half, log_width)
        return torch.logsumexp(self._log_weights_per_mass + log_components, -1)

    def mass_between(self, start: Tensor, stop: Tensor) -> Tensor:
        """Return the mass between two scores, shape (...)."""
        low, high = self.low[..., 0], self.high[..., 0]
        start = torch.minimum(torch.maximum(start, low), high)
        stop = torch.maximum(torch.minimum(stop, high), start)
        a = (start[..., None] - self.means) * self._per_scale
        b = (stop[..., None] - self.means) * self._per_scale
        log_width = torch.log(stop - start)[..., None] - self.log_scales
        pieces = self._log_weights_per_mass + _log_mass(a, b, log_width)
        return torch.exp(pieces).sum(-1).clamp(0, 1)

    def integral_of_cdf(self, start: Tensor, stop: Tensor) -> Tensor:
        """Return the integral of the mass below z, over z from ``start`` to ``stop``."""
        a = (start[..., None] - self.means) * self._per_scale
        b = (stop[..., None] - self.means) * self._per_scale
        floor = torch.sigmoid((self.low - self.means) * self._per_scale)
        area = (F.softplus(b) - F.softplus(a)) * self.scales - floor * (stop - start)[..., None]
        return (torch.exp(self._log_weights_per_mass) * area).sum(-1)

    def integral_of_tail(self, start: Tensor, stop: Tensor) -> Tensor:
        """Return the integral of the mass above z, over z from ``start`` to ``stop``."""
        a = (start[..., None] - self.means) * self._per_scale
        b = (stop[..., None] - self.means) * self._per_scale
        ceiling = torch.sigmoid((self.means - self.high) * self._per_scale)
        area = (F.softplus(-a) - F.softplus(-b)) * self.scales - ceiling * (stop - start)[..., None]
        return (torch.exp(self._log_weights_per_mass) * area).sum(-1)


def _log_mass(start: Tensor, stop: Tensor, log_width: Tensor) -> Tensor:
    """Return log(sigma(stop) - sigma(start)) without cancelling.

    sigma(b) - sigma(a) = sigma(b) sigma(-a) (1 - exp(a - b)).
    """
    # Of a tiny width w the last factor is w, which float32 would call zero.
    tiny = log_width.clamp(max=_TINY_LOG_WIDTH) - _TINY_LOG_WIDTH
    width = torch.exp(log_width.clamp(min=_TINY_LOG_WIDTH))
    log_factor = torch.log(-torch.expm1(-width)) + tiny
    return log_factor + F.logsigmoid(stop) + F.logsigmoid(-start)


def standard_normal_parameters() -> Tensor:
    """Return parameters of a mixture that is close to a standard normal."""
    shares = (np.arange(N_COMPONENTS) + 0.5) / N_COMPONENTS
    means = ndtri(shares) * 0.9
    return _raw_parameters(np.zeros(N_COMPONENTS), means, np.full(N_COMPONENTS, 0.35))


def fitted_parameters(scores: np.ndarray) -> Tensor:
    """Return parameters of a mixture that is close to the distribution of ``scores``."""
    weights, means, deviations = fit_normals(scores, N_COMPONENTS)
    # A logistic of scale s has the standard deviation pi s / sqrt(3).
    scales = np.maximum(deviations * math.sqrt(3) / math.pi, _LEAST_START)
    return _raw_parameters(np.log(weights), means, scales)


def _raw_parameters(logits: np.ndarray, means: np.ndarray, scales: np.ndarray) -> Tensor:
    squeezed = (np.log(scales) - _MIDDLE_LOG_SCALE) / _REACH_LOG_SCALE
    raw = np.arctanh(squeezed.clip(-0.99, 0.99)) * _REACH_LOG_SCALE + _MIDDLE_LOG_SCALE
    return torch.as_tensor(np.concatenate([logits, means, raw]), dtype=torch.float32)
