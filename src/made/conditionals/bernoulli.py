"""The Bernoulli family: a column with two values, 0 and 1, never missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from made.conditionals.base import ConditionalFamily, LogProb
from made.conditionals.region import Region


class Bernoulli(ConditionalFamily):
    """p(x = 1) = 1 / (1 + exp(-a)) with one parameter, the logit a.

    Examples
    --------
    >>> from made.columns import BinaryColumn
    >>> logits = torch.tensor([[0.0], [2.0]])
    >>> Bernoulli(BinaryColumn("x")).log_prob(logits, torch.tensor([1.0, 1.0])).exp()
    tensor([0.5000, 0.8808])
    """

    name = "bernoulli"

    @property
    def n_parameters(self) -> int:
        return 1

    @property
    def n_logits(self) -> int:
        return 1

    @classmethod
    def stacked(cls, families: Sequence[Any]) -> LogProb:
        return families[0].log_prob_of_codes

    def log_prob_of_codes(self, parameters: Tensor, codes: Tensor) -> Tensor:
        # log p(x) = -log(1 + exp(-(2x - 1) a)), which neither overflows nor cancels. One pass
        # makes the sign: at 500 units a step spends as long here as in one of its products.
        sign = torch.add(codes.new_tensor(-1.0), codes[..., 0], alpha=2)
        return F.logsigmoid(parameters[..., 0] * sign)

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        # The inverse cdf: 0 takes the first 1 - p of the unit interval.
        return (uniforms >= torch.sigmoid(-parameters[..., 0])).to(torch.float64)

    def sample_in(self, parameters: Tensor, region: Region, uniforms: Tensor) -> Tensor:
        has_zero, has_one = region.contains(torch.tensor([0.0, 1.0])).tolist()
        if has_zero and has_one:
            return self.sample(parameters, uniforms)
        return torch.full(uniforms.shape, float(has_one), dtype=torch.float64)

    def cdf(self, parameters: Tensor, values: Tensor) -> Tensor:
        zero = torch.sigmoid(-parameters[..., 0])
        return torch.where(values >= 1, 1.0, torch.where(values >= 0, zero, 0.0))

    def mass(self, parameters: Tensor, region: Region) -> Tensor:
        has_zero, has_one = region.contains(torch.tensor([0.0, 1.0])).tolist()
        one = torch.sigmoid(parameters[..., 0])
        zero = torch.sigmoid(-parameters[..., 0])
        if has_zero and has_one:
            return torch.ones_like(one)
        return one if has_one else zero if has_zero else torch.zeros_like(one)

    def mode(self, parameters: Tensor) -> Tensor:
        return (parameters[..., 0] > 0).to(torch.float64)

    def mean(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters[..., 0])

    def marginal_parameters(self, values: np.ndarray) -> Tensor:
        # One count is added to each value, so that a constant column has a finite logit.
        ones = float(values.sum(dtype=np.float64)) + 1
        zeros = len(values) + 2 - ones
        return torch.tensor([np.log(ones / zeros)], dtype=torch.float32)
