"""The ordered network: one connectivity of a model, every matrix sorted by degree.

Sorted so, a unit of degree t is final as soon as the first t columns are known, and whatever a
step needs stands before it. Knows a model's network and a connectivity; knows nothing of how the
steps are walked through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from made.blocks import sorting_order
from made.errors import WeightsError
from made.model import Model
from made.network.autoencoder import FROM_INPUT
from made.network.layers import MaskedLinear
from made.orderings import Connectivity

# Sources of a matrix: the input features, or the activations of hidden layer 0, 1, ...
INPUTS = -1


@dataclass(frozen=True)
class OrderedMatrix:
    """A masked matrix in sorted order.

    Attributes
    ----------
    weight : Tensor, shape (n_out, n_in)
        Zero where the mask cuts.
    shift : Tensor, shape (n_out,)
        Bias and conditioning weights, added to every row.
    source : int
        `INPUTS`, or the hidden layer that the inputs are activations of.
    """

    weight: Tensor
    shift: Tensor
    source: int


@dataclass(frozen=True)
class OrderedNetwork:
    """All matrices of one connectivity, and where each step's units begin.

    At step t the column ``order[t]`` is drawn. ``input_starts[t]`` is the first of its input
    features in sorted order, ``output_starts[t]`` the first of its parameters, and
    ``unit_starts[l][t]`` the first unit of layer l that is final at step t and not before; each
    has one more entry, the end.
    """

    model: Model
    connectivity: Connectivity
    hidden: tuple[OrderedMatrix, ...]
    readouts: tuple[OrderedMatrix, ...]
    output_shift: Tensor
    gains: tuple[Tensor, ...]
    input_starts: np.ndarray
    output_starts: np.ndarray
    unit_starts: tuple[np.ndarray, ...]

    @property
    def n_columns(self) -> int:
        return len(self.connectivity.order)

    def begin(self, source: int, step: int) -> int:
        """Return how many units of ``source`` are final before step ``step`` begins."""
        starts = self.input_starts if source == INPUTS else self.unit_starts[source]
        return int(starts[step])

    def limit(self, source: int, step: int) -> int:
        """Return how many units of ``source`` what is computed in step ``step`` may see.

        Hidden units that become final in a step are seen within it; its own column is not.
        """
        if source == INPUTS:
            return int(self.input_starts[step])
        return int(self.unit_starts[source][step + 1])


@torch.no_grad()
def order_network(model: Model, connectivity: Connectivity) -> OrderedNetwork:
    """Return the matrices of ``connectivity``, sorted by degree and masked.

    Raises
    ------
    WeightsError
        If a weight is not finite: nothing could be drawn from it.
    """
    network = model.network
    steps = np.arange(len(connectivity.order) + 1)
    degrees = connectivity.column_degrees
    inputs = degrees[network.input_columns]
    outputs = degrees[network.output_columns]
    units = connectivity.hidden_degrees
    orders = [sorting_order(layer) for layer in units]
    masks = iter(network.masks(connectivity))
    hidden, readouts = [], []
    for layer, linear in enumerate(network.hidden):
        assert isinstance(linear, MaskedLinear)
        below = sorting_order(inputs) if layer == 0 else orders[layer - 1]
        hidden.append(_sorted_matrix(linear, next(masks), orders[layer], below, layer - 1))
    for name, linear in network.readouts.items():
        assert isinstance(linear, MaskedLinear)
        source = INPUTS if name == FROM_INPUT else int(name)
        below = sorting_order(inputs) if source == INPUTS else orders[source]
        matrix = _sorted_matrix(linear, next(masks), sorting_order(outputs), below, source)
        readouts.append(matrix)
    for name, value in model.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"{name} holds NaN or infinity: nothing can be drawn from it. Fit the model again."
            )
    return OrderedNetwork(
        model=model,
        connectivity=connectivity,
        hidden=tuple(hidden),
        readouts=tuple(readouts),
        output_shift=_take(network.output_bias.detach(), sorting_order(outputs)),
        gains=tuple(
            _take(norm.get_parameter("gain").detach(), order)
            for norm, order in zip(network.norms, orders, strict=False)
        ),
        input_starts=np.searchsorted(np.sort(inputs), steps + 1),
        output_starts=np.searchsorted(np.sort(outputs), steps + 1),
        unit_starts=tuple(np.searchsorted(np.sort(layer), steps) for layer in units),
    )


def _sorted_matrix(
    linear: MaskedLinear,
    mask: Tensor,
    order: np.ndarray | None,
    below: np.ndarray | None,
    source: int,
) -> OrderedMatrix:
    weight, shift = linear.masked(mask)
    sorted_weight = weight if order is None else weight[torch.as_tensor(order)]
    if below is not None:
        sorted_weight = sorted_weight[:, torch.as_tensor(below)]
    return OrderedMatrix(sorted_weight.contiguous(), _take(shift, order), source)


def _take(vector: Tensor, order: np.ndarray | None) -> Tensor:
    return vector if order is None else vector[torch.as_tensor(order)]
