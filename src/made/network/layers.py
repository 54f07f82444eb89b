"""The layers of a masked network: masked products, a norm that leaks nothing, keyed dropout.

Knows masks as tensors and degrees as arrays; knows nothing of orderings, families or data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from made.blocks import sorting_order
from made.network.products import Edges, Weights, by_output

NORM_EPSILON = 1e-6
_LEVELS = 2**16


class MaskedLinear(nn.Module):
    """y = (W * M) x + b, or with conditioning weights (W * M) x + (U * M) 1 + b.

    The mask M is an argument of every call, as `Edges`, and is never multiplied into the stored
    weights: under another connectivity every weight is needed again.

    With ``by_input`` the matrices are stored as ``(n_in, n_out)`` instead of ``(n_out, n_in)``:
    where the inputs change their order at every step, the weights of each move as one run.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        bias: bool = True,
        conditioning: bool = False,
        by_input: bool = False,
    ) -> None:
        super().__init__()

        shape = (n_in, n_out) if by_input else (n_out, n_in)
        self.by_input = by_input
        self.n_in = n_in
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.empty(n_out)) if bias else None
        self.conditioning = nn.Parameter(torch.empty(shape)) if conditioning else None

    def forward(self, inputs: Tensor, edges: Edges) -> Tensor:
        weights = Weights(self.weight, self.bias, self.conditioning, self.by_input)
        return edges.product(inputs, weights)

    def masked(
        self, mask: Tensor, units: slice | Tensor, inputs: slice | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return ``W * M`` and ``(U * M) 1 + b`` of some units and inputs, in the order given.

        Shapes ``(n_units, n_inputs)``, that of the mask, and ``(n_units,)``.
        """
        weight = _picked(by_output(self.weight, self.by_input), units, inputs) * mask
        shift = weight.new_zeros(len(weight)) if self.bias is None else self.bias[units]
        if self.conditioning is not None:
            conditioning = _picked(by_output(self.conditioning, self.by_input), units, inputs)
            shift = shift + (conditioning * mask).sum(dim=1)
        return weight.contiguous(), shift

    @torch.no_grad()
    def initialize(self, random: torch.Generator, scale: float, orthogonal: bool) -> None:
        """Draw weights of variance ``scale**2 / n_in``; biases and conditioning start at 0."""
        if orthogonal:
            nn.init.orthogonal_(self.weight, generator=random)
        else:
            self.weight.normal_(0.0, scale / max(self.n_in, 1) ** 0.5, generator=random)
        for parameter in (self.bias, self.conditioning):
            if parameter is not None:
                parameter.zero_()


def _picked(matrix: Tensor, rows: slice | Tensor, columns: slice | Tensor) -> Tensor:
    """Return some rows and columns; what is a slice comes first, since it copies nothing."""
    return matrix[rows][:, columns] if isinstance(rows, slice) else matrix[:, columns][rows]


@dataclass(frozen=True)
class DegreeGroups:
    """For each unit, which units have a degree of at most its own.

    ``order`` sorts the units by degree (None if they are sorted); ``last`` is the position,
    in that order, of the last unit of the same degree.
    """

    order: Tensor | None
    last: Tensor

    @classmethod
    def of(cls, degrees: np.ndarray, device: torch.device) -> DegreeGroups:
        order = sorting_order(degrees)
        in_order = degrees if order is None else degrees[order]
        last = np.searchsorted(in_order, degrees, side="right") - 1
        return cls(
            None if order is None else torch.as_tensor(order, device=device),
            torch.as_tensor(last, device=device),
        )


class CumulativeRMSNorm(nn.Module):
    """y_i = g_i x_i / sqrt(mean of x_j^2 over the units j with degree_j <= degree_i).

    LayerNorm and RMSNorm take their mean over all units and so let early outputs see late columns;
    this one takes it over the units that a unit may see.
    """

    def __init__(self, n_units: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_units))

    def forward(self, inputs: Tensor, groups: DegreeGroups) -> Tensor:
        return cumulative_rms(inputs, self.gain, groups)


def cumulative_rms(inputs: Tensor, gain: Tensor, groups: DegreeGroups) -> Tensor:
    """Return the inputs, (n_rows, n_units), over their root mean squares, times ``gain``."""
    squares = inputs.square()
    if groups.order is not None:
        squares = squares.index_select(1, groups.order)
    sums = squares.cumsum(dim=1).index_select(1, groups.last)
    mean = sums / (groups.last + 1)
    return inputs * torch.rsqrt(mean + NORM_EPSILON) * gain


def dropout(inputs: Tensor, fraction: float, random: torch.Generator | None) -> Tensor:
    """Zero a ``fraction`` of the entries and scale the rest; identity without a generator.

    The fraction is rounded to a multiple of 1 / 65536: an entry is dropped by sixteen random bits,
    four by a word, in a third of the time that a random number for each would take.
    """
    if random is None or fraction == 0:
        return inputs
    n_kept = min(max(round((1 - fraction) * _LEVELS), 1), _LEVELS - 1)
    n_words = -(-inputs.numel() // 4)
    words = torch.empty(n_words, dtype=torch.int64, device=inputs.device)
    words.random_(-(2**63), None, generator=random)
    # As the inputs lie in memory, which may be unit by unit.
    levels = words.view(torch.int16).as_strided(inputs.shape, inputs.stride())
    kept = levels < n_kept - _LEVELS // 2
    return inputs * kept.to(inputs.dtype).mul_(_LEVELS / n_kept)
