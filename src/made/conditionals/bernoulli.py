"""The Bernoulli family: a column with two values, 0 and 1."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from made.conditionals.base import ConditionalFamily, Region


class Bernoulli(ConditionalFamily):
    """p(x = 1) = 1 / (1 + exp(-a)) with one parameter, the logit a.

    Examples
    --------
    >>> logits = torch.tensor([[0.0], [2.0]])
    >>> Bernoulli().log_prob(logits, torch.tensor([1.0, 1.0])).exp()
    tensor([0.5000, 0.8808])
    """

    name = "bernoulli"
    n_parameters = 1

    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        # log p(x) = -log(1 + exp(-(2x - 1) a)), which neither overflows nor cancels. One pass
        # makes the sign: at 500 units a step spends as long here as in one of its products.
        sign = torch.add(values.new_tensor(-1.0), values, alpha=2)
        return F.logsigmoid(parameters[..., 0] * sign)

    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        # The inverse cdf: 0 takes the first 1 - p of the unit interval.
        return (uniforms >= torch.sigmoid(-parameters[..., 0])).to(parameters.dtype)

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
        return (parameters[..., 0] > 0).to(parameters.dtype)

    def mean(self, parameters: Tensor) -> Tensor:
        return torch.sigmoid(parameters[..., 0])

    def marginal_parameters(self, values: Tensor) -> Tensor:
        # One count is added to each value, so that a constant column has a finite logit.
        ones = values.to(torch.float64).sum() + 1
        zeros = len(values) + 2 - ones
        return torch.log(ones / zeros)[None].to(torch.float32)
