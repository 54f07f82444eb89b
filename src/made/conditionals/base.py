"""The contract of a conditional family.

A family turns a run of parameters (network outputs) into a one-dimensional distribution over
the values of one column, missing included where cells can be. It knows its column; it knows
nothing of networks, orderings or tables.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from made.columns import Column
from made.conditionals.region import Region

# In a stack of families, parameters that a family does not have: a logit of minus infinity, and 0.
NEVER, ZERO = -1, -2

LogProb = Callable[[Tensor, Tensor], Tensor]


class ConditionalFamily(ABC):
    """A one-dimensional distribution whose parameters a network emits.

    Shapes: ``parameters`` is ``(..., n_parameters)``, ``codes`` ``(..., n_codes)``; ``values`` and
    ``uniforms`` are ``(...)``, and so is every result. Values are in the units of the table, in
    float64, NaN where missing. Log-probabilities are in nats.
    """

    name: ClassVar[str]

    def __init__(self, column: Column) -> None:
        self.column: Any = column

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Number of parameters; 0 if there is nothing to decide."""

    @property
    @abstractmethod
    def n_logits(self) -> int:
        """Number of logits that a stack needs for this family, the first of its parameters."""

    def layout(self, n_logits: int) -> list[int]:
        """Return what stands at each place of a stack: a parameter's number, `NEVER` or `ZERO`."""
        if self.n_parameters == 0:
            return [ZERO] + [NEVER] * (n_logits - 1)
        return [*range(self.n_parameters), *[NEVER] * (n_logits - self.n_parameters)]

    @classmethod
    @abstractmethod
    def stacked(cls, families: Sequence[Any]) -> LogProb:
        """Return `log_prob_of_codes` of several families at once.

        Parameters are ``(n_rows, n_families, n)`` in their layouts, codes ``(n_rows, n_families,
        n_codes)``.
        """

    @abstractmethod
    def log_prob_of_codes(self, parameters: Tensor, codes: Tensor) -> Tensor:
        """Log mass or log density of the cells that ``codes`` were made of."""

    def log_prob(self, parameters: Tensor, values: Tensor) -> Tensor:
        """Log mass or log density of ``values``."""
        flat = values.detach().cpu().to(torch.float64).reshape(-1).numpy()
        dtype = np.float64 if parameters.dtype == torch.float64 else np.float32
        codes = torch.as_tensor(self.column.codes(flat, dtype), device=parameters.device)
        return self.log_prob_of_codes(
            parameters, codes.to(parameters.dtype).view(*values.shape, self.column.n_codes)
        )

    @abstractmethod
    def sample(self, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """The value at which the cdf passes ``uniforms``: the same uniform, the same draw.

        Missing comes after all values, and what was never seen after that.
        """

    @abstractmethod
    def sample_in(self, parameters: Tensor, region: Region, uniforms: Tensor) -> Tensor:
        """A draw from the part of the distribution in ``region``, which must have mass.

        The same uniform, the same draw.
        """

    @abstractmethod
    def cdf(self, parameters: Tensor, values: Tensor) -> Tensor:
        """Probability of a value, not missing, of at most ``values``."""

    @abstractmethod
    def mass(self, parameters: Tensor, region: Region) -> Tensor:
        """Probability of the region."""

    @abstractmethod
    def mode(self, parameters: Tensor) -> Tensor:
        """The most likely value that is not missing."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """The expected value, given that it is not missing; of categories it means nothing."""

    @abstractmethod
    def marginal_parameters(self, values: np.ndarray) -> Tensor:
        """Parameters, shape ``(n_parameters,)``, that fit a column of ``values`` by itself.

        Output biases start there, so that training begins at independent columns.
        """


def pick(table: Tensor, places: Tensor) -> Tensor:
    """Return ``table[..., places]`` row by row; the shapes before the last are broadcast."""
    shape = torch.broadcast_shapes(table.shape[:-1], places.shape)
    return table.expand(*shape, -1).gather(-1, places.expand(shape)[..., None])[..., 0]
