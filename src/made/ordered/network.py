"""The ordered network: one connectivity of a model, every matrix sorted by degree.

Sorted so, a unit of degree t is final as soon as the first t columns are known, and whatever a
step needs stands before it. Knows a model's network and a connectivity; knows nothing of how the
steps are walked through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from made.blocks import sorting_order
from made.errors import WeightsError
from made.masks import hidden_mask, output_mask
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

    Only the first ``n_front`` steps may be there, and then no unit that sees more. The columns
    ``following`` have a last step together: the outputs of each are those that it has where it
    comes right after the front.
    """

    model: Model
    connectivity: Connectivity
    n_front: int
    following: tuple[int, ...]
    hidden: tuple[OrderedMatrix, ...]
    readouts: tuple[OrderedMatrix, ...]
    output_shift: Tensor
    gains: tuple[Tensor, ...]
    input_places: slice | Tensor
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
def order_network(
    model: Model,
    connectivity: Connectivity,
    n_front: int | None = None,
    following: Sequence[int] = (),
) -> OrderedNetwork:
    """Return the matrices of ``connectivity``, sorted by degree and masked.

    Parameters
    ----------
    model : Model
    connectivity : Connectivity
    n_front : int, optional
        How many steps are needed, by default all: what sees more is left out.
    following : sequence of int
        Columns outside the front of which each is wanted as the next.

    Raises
    ------
    WeightsError
        If a weight is not finite: nothing could be drawn from it. Of a front the caller checks
        what comes out, which is cheaper.
    """
    network = model.network
    n_columns = len(connectivity.order)
    reach = n_columns if n_front is None else n_front
    steps = np.arange(reach + bool(following) + 1)
    degrees = connectivity.column_degrees
    outputs = degrees[network.output_columns]
    if following:
        outputs = np.where(outputs > reach, n_columns + 1, outputs)
        outputs[np.isin(network.output_columns, following)] = reach + 1
    inputs = _Sorted.of(degrees[network.input_columns], reach)
    # The last step sees units of its own degree less one.
    last_unit = n_columns if reach == n_columns else len(steps) - 2
    units = [_Sorted.of(layer, last_unit) for layer in connectivity.hidden_degrees]
    columns = _Sorted.of(outputs, len(steps) - 1)
    hidden = tuple(
        _sorted_matrix(linear, above, below, layer - 1, hidden_mask)
        for layer, (linear, above, below) in enumerate(
            zip(network.hidden, units, (inputs, *units), strict=False)
        )
    )
    readouts = []
    for name, linear in network.readouts.items():
        source = INPUTS if name == FROM_INPUT else int(name)
        if source == INPUTS:
            readouts.append(_direct_matrix(linear, columns, inputs, network.direct_inputs))
        else:
            readouts.append(_sorted_matrix(linear, columns, units[source], source, output_mask))
    if n_front is None:
        _check_finite(model)
    return OrderedNetwork(
        model=model,
        connectivity=connectivity,
        n_front=reach,
        following=tuple(following),
        hidden=hidden,
        readouts=tuple(readouts),
        output_shift=network.output_bias.detach()[columns.places],
        gains=tuple(
            norm.get_parameter("gain").detach()[layer.places]
            for norm, layer in zip(network.norms, units, strict=False)
        ),
        input_places=inputs.places,
        input_starts=np.searchsorted(inputs.degrees, steps + 1),
        output_starts=np.searchsorted(columns.degrees, steps + 1),
        unit_starts=tuple(np.searchsorted(layer.degrees, steps) for layer in units),
    )


def _check_finite(model: Model) -> None:
    for name, value in model.named_parameters():
        if not bool(torch.isfinite(value).all()):
            raise WeightsError(
                f"{name} holds NaN or infinity: nothing can be drawn from it. Fit the model again."
            )


@dataclass(frozen=True)
class _Sorted:
    """Units of at most some degree, in sorted order: where they stand, and their degrees."""

    places: slice | Tensor
    degrees: np.ndarray

    @classmethod
    def of(cls, degrees: np.ndarray, highest: int) -> _Sorted:
        order = sorting_order(degrees)
        in_order = degrees if order is None else degrees[order]
        kept = in_order[: np.searchsorted(in_order, highest, side="right")]
        places = slice(0, len(kept)) if order is None else torch.as_tensor(order[: len(kept)])
        return cls(places, kept)


def _direct_matrix(
    linear: nn.Module, above: _Sorted, inputs: _Sorted, direct: np.ndarray
) -> OrderedMatrix:
    """Return the matrix from all inputs to the outputs, zero where an input has no connection."""
    n_inputs = len(inputs.degrees)
    places = np.arange(n_inputs) if isinstance(inputs.places, slice) else inputs.places.numpy()
    kept = np.flatnonzero(np.isin(places, direct))
    own = torch.as_tensor(np.searchsorted(direct, places[kept]))
    matrix = _sorted_matrix(linear, above, _Sorted(own, inputs.degrees[kept]), INPUTS, output_mask)
    if len(kept) == n_inputs:
        return matrix
    weight = matrix.weight.new_zeros(len(matrix.weight), n_inputs)
    weight[:, torch.as_tensor(kept, device=weight.device)] = matrix.weight
    return OrderedMatrix(weight, matrix.shift, INPUTS)


def _sorted_matrix(
    linear: nn.Module,
    above: _Sorted,
    below: _Sorted,
    source: int,
    masked: Callable[[Tensor, Tensor], Tensor],
) -> OrderedMatrix:
    assert isinstance(linear, MaskedLinear)
    mask = masked(torch.as_tensor(above.degrees), torch.as_tensor(below.degrees))
    weight, shift = linear.masked(mask.to(linear.weight.device), above.places, below.places)
    return OrderedMatrix(weight, shift, source)
