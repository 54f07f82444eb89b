"""Families of one sort evaluated together: their parameters side by side in one tensor.

Fifteen columns one after the other cost fifteen times the calls, and at a minibatch of a hundred
rows calls are what costs. Knows families; knows nothing of networks or of what the outputs come
from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from made.conditionals.base import NEVER, ZERO, ConditionalFamily

# A logit that no other outweighs: its probability is 0 in float32, and so is its gradient.
_NEVER_LOGIT = -1e30


class Stack:
    """The columns of one sort of family, which are evaluated together.

    Parameters
    ----------
    families : sequence of ConditionalFamily
        All of one class.
    outputs : sequence of slice
        Where the parameters of each stand among the outputs of a network.
    codes : sequence of slice
        Where the codes of each stand.
    """

    def __init__(
        self,
        families: Sequence[ConditionalFamily],
        outputs: Sequence[slice],
        codes: Sequence[slice],
    ) -> None:
        self._log_prob = type(families[0]).stacked(families)
        n_logits = max(family.n_logits for family in families)
        rows = []
        for family, span in zip(families, outputs, strict=True):
            layout = np.array(family.layout(n_logits))
            rows.append(np.where(layout < 0, layout, layout + span.start))
        self._shape = (len(families), len(rows[0]))
        self._outputs = torch.as_tensor(np.concatenate(rows))
        self._cells = torch.tensor([i for span in codes for i in range(span.start, span.stop)])

    def log_prob(self, outputs: Tensor, codes: Tensor) -> Tensor:
        """Return the log-probabilities of the cells, shape ``(n_rows, n_families)``."""
        places, cells = self._outputs.to(outputs.device), self._cells.to(codes.device)
        parameters: Any = _Spread.apply(outputs, places)
        own_codes = codes.index_select(1, cells).view(len(codes), self._shape[0], -1)
        return self._log_prob(parameters.view(len(outputs), *self._shape), own_codes)


class _Spread(torch.autograd.Function):
    """Outputs at ``places``, `NEVER` and `ZERO` among them.

    No output stands at two places, so that gradients are gathered as outputs are; the gradient
    that indexing has by itself adds up one by one, and takes longer than all else.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, places: Tensor) -> Tensor:
        ctx.save_for_backward(places)
        ctx.n_outputs = outputs.shape[1]
        # The last two columns are what padding stands for: -1 is NEVER, -2 is ZERO.
        padded = F.pad(outputs, (0, 2))
        padded[:, NEVER] = _NEVER_LOGIT
        return padded.index_select(1, places % padded.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        is_output = places >= 0
        # Outputs of other stacks have no gradient here: they read the zero at the end.
        origins = places.new_full((ctx.n_outputs,), len(places))
        numbers = torch.arange(len(places), device=places.device)
        origins[places[is_output]] = numbers[is_output]
        return F.pad(gradients[0], (0, 1)).index_select(1, origins), None


assert (NEVER, ZERO) == (-1, -2)
