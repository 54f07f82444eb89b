"""The masked autoencoder: inputs and a connectivity -> parameters of all conditionals.

Knows layers, masks and connectivities. Knows nothing of what inputs and outputs mean: each
belongs to a column, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from made.blocks import Triangle, triangle
from made.masks import hidden_mask, output_mask
from made.network.config import NetworkConfig
from made.network.layers import CumulativeRMSNorm, DegreeGroups, MaskedLinear, dropout
from made.network.products import DenseEdges, Edges
from made.network.triangular import PreparedEdges, TriangularEdges
from made.orderings import Connectivity

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "elu": F.elu,
    "gelu": F.gelu,
    "tanh": torch.tanh,
    "softplus": F.softplus,
}
# The readout that carries direct connections from the inputs; the others bear a layer's number.
FROM_INPUT = "input"


@dataclass
class Wiring:
    """The edges of all matrices under one connectivity.

    ``hidden[l]`` are the edges into hidden layer ``l``, ``readouts[name]`` those from a source
    into the outputs. ``groups[l]`` serves the norm of layer ``l``.
    """

    connectivity: Connectivity
    hidden: list[Edges]
    readouts: dict[str, Edges]
    groups: list[DegreeGroups]

    @property
    def all_edges(self) -> list[Edges]:
        return [*self.hidden, *self.readouts.values()]


class Triangles(NamedTuple):
    """The blocks of all matrices under one connectivity, and the hidden degrees behind them."""

    hidden_degrees: tuple[np.ndarray, ...]
    shapes: list[Triangle]


class MaskedAutoencoder(nn.Module):
    """A masked autoencoder in the sense of Germain et al. 2015, for any connectivity.

    With s_l the pre-activation and a_l the activation of layer l, a_0 the inputs, and all
    matrices masked:

        s_l = W_l a_{l-1} + b_l   (+ s_{l-1} if residual and l > 1)
        a_l = f(norm(s_l))
        outputs = c + sum over sources of V a_source

    where the sources are the last hidden layer and, as options, the inputs and all other layers.

    Parameters
    ----------
    config : NetworkConfig
    input_columns : ndarray of int, shape (n_inputs,)
        The column of each input; a one-hot column has several inputs.
    output_columns : ndarray of int, shape (n_outputs,)
        The column of each output; a family with several parameters has several outputs.
    direct_inputs : ndarray of int, optional
        The inputs that direct connections to the outputs come from, ascending; by default all.
    """

    def __init__(
        self,
        config: NetworkConfig,
        input_columns: np.ndarray,
        output_columns: np.ndarray,
        direct_inputs: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.input_columns = input_columns
        self.output_columns = output_columns
        everything = np.arange(len(input_columns))
        self.direct_inputs = everything if direct_inputs is None else direct_inputs
        self._direct = (
            None
            if len(self.direct_inputs) == len(everything)
            else torch.as_tensor(self.direct_inputs, device="cpu")
        )
        n_inputs, n_outputs = len(input_columns), len(output_columns)
        widths = config.hidden
        redrawn = config.hidden_degrees == "redrawn"
        self.hidden = nn.ModuleList(
            MaskedLinear(
                n_in,
                n_out,
                conditioning=config.conditioning and (layer == 0 or redrawn),
                by_input=layer == 0,
            )
            for layer, (n_in, n_out) in enumerate(zip((n_inputs, *widths), widths, strict=False))
        )
        self.norms = nn.ModuleList(
            CumulativeRMSNorm(width) for width in widths if config.normalization != "none"
        )
        self.readouts = nn.ModuleDict(
            {
                source: MaskedLinear(n_in, n_outputs, bias=False, conditioning=config.conditioning)
                for source, n_in in self._sources().items()
            }
        )
        self.output_bias = nn.Parameter(torch.empty(n_outputs))
        self._activation = ACTIVATIONS[config.activation]

    def _sources(self) -> dict[str, int]:
        """Return the sources of the outputs and their widths."""
        widths = self.config.hidden
        sources = {FROM_INPUT: len(self.direct_inputs)} if self.config.direct_input else {}
        for layer, width in enumerate(widths):
            if self.config.direct_hidden or layer == len(widths) - 1:
                sources[str(layer)] = width
        return sources

    @torch.no_grad()
    def initialize(self, random: torch.Generator, output_bias: Tensor) -> None:
        """Draw all weights; the outputs start at ``output_bias``, whatever the inputs."""
        orthogonal = self.config.initialization == "orthogonal"
        for layer in self.hidden:
            assert isinstance(layer, MaskedLinear)
            # About half of the inputs are cut, and a ReLU halves the variance: 2 * 2 / n_in
            # would keep it; a little less is calmer in deep networks.
            layer.initialize(random, 3.0**0.5, orthogonal)
        for readout in self.readouts.values():
            assert isinstance(readout, MaskedLinear)
            readout.initialize(random, 0.1, orthogonal)
        self.output_bias.copy_(output_bias)

    def masks(self, connectivity: Connectivity) -> list[Tensor]:
        """Return the masks of all matrices as zeros and ones: hidden layers, then readouts."""
        device, dtype = self.output_bias.device, self.output_bias.dtype
        masks = []
        for degrees_out, degrees_in, strict in self._degree_pairs(connectivity):
            above = torch.as_tensor(degrees_out, device=device)
            below = torch.as_tensor(degrees_in, device=device)
            mask = output_mask(above, below) if strict else hidden_mask(above, below)
            masks.append(mask.to(dtype))
        return masks

    def wire(self, connectivity: Connectivity) -> Wiring:
        """Return the edges of ``connectivity`` as dense masks."""
        edges: list[Edges] = [DenseEdges(mask) for mask in self.masks(connectivity)]
        return self._wiring(connectivity, edges)

    def triangles(
        self, connectivity: Connectivity, n_rows: int, before: Triangles | None = None
    ) -> Triangles:
        """Return the blocks of all matrices, for products of ``n_rows`` rows.

        Blocks that are equal to those in ``before``, of as many rows, are taken over.
        """
        pairs = self._degree_pairs(connectivity)
        degrees = connectivity.hidden_degrees
        kept = range(1, len(self.hidden) if before and before.hidden_degrees is degrees else 1)
        shapes = [
            before.shapes[index]
            if before and index in kept
            else triangle(
                above,
                below,
                _n_blocks(n_rows * len(above) * len(below)),
                strict=strict,
                before=before.shapes[index] if before else None,
            )
            for index, (above, below, strict) in enumerate(pairs)
        ]
        return Triangles(degrees, shapes)

    def wire_triangular(
        self, connectivity: Connectivity, triangles: Triangles, before: Wiring | None = None
    ) -> Wiring:
        """Return the edges of ``connectivity`` as blocks.

        ``before``, the wiring of the step before, is overwritten: its memory is used again.
        """
        if before is None:
            edges: list[Edges] = [TriangularEdges(shape) for shape in triangles.shapes]
            return self._wiring(connectivity, edges)
        for matrix, shape in zip(before.all_edges, triangles.shapes, strict=True):
            assert isinstance(matrix, TriangularEdges)
            matrix.move(shape)
        if before.connectivity.hidden_degrees is connectivity.hidden_degrees:
            before.connectivity = connectivity
            return before
        return self._wiring(connectivity, before.all_edges)

    def wire_prepared(
        self, connectivity: Connectivity, n_rows: int, before: Wiring | None = None
    ) -> Wiring:
        """Return the edges of ``connectivity`` for scoring many rows, ``n_rows`` at a time.

        No gradient flows through them. What ``before`` has prepared for the same hidden degrees
        is used again: the weights between hidden layers are then sorted once for all members.
        """
        edges: list[Edges] = [
            PreparedEdges(shape) for shape in self.triangles(connectivity, n_rows).shapes
        ]
        if before is not None and (
            before.connectivity.hidden_degrees is connectivity.hidden_degrees
        ):
            edges[1 : len(self.hidden)] = before.hidden[1:]
        return self._wiring(connectivity, edges)

    def _degree_pairs(
        self, connectivity: Connectivity
    ) -> list[tuple[np.ndarray, np.ndarray, bool]]:
        """Return, for every matrix, the degrees of its outputs and inputs, and if it is strict."""
        degrees, units = connectivity.column_degrees, connectivity.hidden_degrees
        inputs, outputs = degrees[self.input_columns], degrees[self.output_columns]
        pairs = [
            (above, below, False) for above, below in zip(units, (inputs, *units), strict=False)
        ]
        for source in self.readouts:
            below = inputs[self.direct_inputs] if source == FROM_INPUT else units[int(source)]
            pairs.append((outputs, below, True))
        return pairs

    def _wiring(self, connectivity: Connectivity, edges: list[Edges]) -> Wiring:
        normed = self.config.normalization != "none"
        device = self.output_bias.device
        return Wiring(
            connectivity,
            hidden=edges[: len(self.hidden)],
            readouts=dict(zip(self.readouts, edges[len(self.hidden) :], strict=True)),
            groups=[
                DegreeGroups.of(layer, device) for layer in connectivity.hidden_degrees if normed
            ],
        )

    def forward(
        self, inputs: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return the outputs, shape ``(n_rows, n_outputs)``, of ``inputs`` (n_rows, n_inputs).

        Units are dropped only when a generator is given.
        """
        outputs = self.output_bias.expand(len(inputs), -1)
        if FROM_INPUT in self.readouts:
            direct = inputs if self._direct is None else inputs[:, self._direct.to(inputs.device)]
            outputs = outputs + self.readouts[FROM_INPUT](direct, wiring.readouts[FROM_INPUT])
        activations, stream = inputs, inputs
        for layer, linear in enumerate(self.hidden):
            update = linear(activations, wiring.hidden[layer])
            stream = stream + update if self.config.residual and layer else update
            normed = self.norms[layer](stream, wiring.groups[layer]) if self.norms else stream
            activations = dropout(self._activate(normed), self.config.dropout, dropout_random)
            if str(layer) in self.readouts:
                readout = self.readouts[str(layer)](activations, wiring.readouts[str(layer)])
                outputs = outputs + readout
        # Prepared edges have the rows side by side; families want the outputs of a row so.
        return outputs.contiguous()

    def _activate(self, normed: Tensor) -> Tensor:
        """Return f(norm(s)), in the same memory where nobody asks for norm(s) again."""
        is_last_use = bool(self.norms) or not self.config.residual
        if is_last_use and self.config.activation == "relu" and not torch.is_grad_enabled():
            return normed.relu_()
        return self._activation(normed)


def _n_blocks(n_products: int) -> int:
    """Return into how many blocks a product is cut.

    More blocks skip more of the zeros, and a product that is too small wastes what it saves. The
    rule fits what was measured: 2 blocks at 50 million multiplications, 6 at 400, 8 beyond 700.
    """
    return min(max(round((n_products / 12e6) ** 0.5), 1), 8)
