"""The masked autoencoder: inputs and a connectivity -> parameters of all conditionals.

Knows layers, masks and connectivities. Knows nothing of what inputs and outputs mean: each
belongs to a column, and that is all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from made.masks import hidden_mask, output_mask
from made.network.config import NetworkConfig
from made.network.layers import CumulativeRMSNorm, DegreeGroups, MaskedLinear, dropout
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
class NetworkMasks:
    """The masks of one connectivity, as 0/1 tensors of the weights' type.

    ``hidden[l]`` masks the edges into hidden layer ``l``, ``readouts[name]`` those from a source
    into the outputs. ``groups[l]`` serves the norm of layer ``l``.
    """

    connectivity: Connectivity
    hidden: list[Tensor] = field(default_factory=list)
    readouts: dict[str, Tensor] = field(default_factory=dict)
    groups: list[DegreeGroups] = field(default_factory=list)


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
    """

    def __init__(
        self, config: NetworkConfig, input_columns: np.ndarray, output_columns: np.ndarray
    ) -> None:
        super().__init__()
        self.config = config
        self.input_columns = input_columns
        self.output_columns = output_columns
        n_inputs, n_outputs = len(input_columns), len(output_columns)
        widths = config.hidden
        redrawn = config.hidden_degrees == "redrawn"
        self.hidden = nn.ModuleList(
            MaskedLinear(
                n_in, n_out, conditioning=config.conditioning and (layer == 0 or redrawn)
            )
            for layer, (n_in, n_out) in enumerate(zip((n_inputs, *widths), widths, strict=False))
        )
        self.norms = nn.ModuleList(
            CumulativeRMSNorm(width) for width in widths if config.normalization != "none"
        )
        self.readouts = nn.ModuleDict(
            {
                source: MaskedLinear(n_in, n_outputs, bias=False, conditioning=config.conditioning)
                for source, n_in in self._sources(n_inputs).items()
            }
        )
        self.output_bias = nn.Parameter(torch.empty(n_outputs))
        self._activation = ACTIVATIONS[config.activation]

    def _sources(self, n_inputs: int) -> dict[str, int]:
        """Return the sources of the outputs and their widths."""
        widths = self.config.hidden
        sources = {FROM_INPUT: n_inputs} if self.config.direct_input else {}
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

    def masks(self, connectivity: Connectivity, into: NetworkMasks | None = None) -> NetworkMasks:
        """Return the masks of ``connectivity``.

        ``into`` is overwritten and returned when given: training builds new masks at every step,
        and memory that is used again is several times faster than memory that is new.
        """
        device, dtype = self.output_bias.device, self.output_bias.dtype
        columns = torch.as_tensor(connectivity.column_degrees, dtype=torch.int32, device=device)
        inputs = columns[torch.as_tensor(self.input_columns, device=device)]
        outputs = columns[torch.as_tensor(self.output_columns, device=device)]
        same_hidden = (
            into is not None and into.connectivity.hidden_degrees is connectivity.hidden_degrees
        )
        masks = into or NetworkMasks(connectivity)
        masks.connectivity = connectivity
        degrees = [
            torch.as_tensor(layer, dtype=torch.int32, device=device)
            for layer in connectivity.hidden_degrees
        ]
        if not same_hidden and self.config.normalization != "none":
            masks.groups = [
                DegreeGroups.of(layer, device) for layer in connectivity.hidden_degrees
            ]
        for layer, (above, below) in enumerate(
            zip(degrees, [inputs, *degrees[:-1]], strict=True)
        ):
            if layer == len(masks.hidden):
                masks.hidden.append(hidden_mask(above, below).to(dtype))
            elif layer == 0 or not same_hidden:
                torch.ge(above[:, None], below[None, :], out=masks.hidden[layer])
        for source in self.readouts:
            below = inputs if source == FROM_INPUT else degrees[int(source)]
            if source not in masks.readouts:
                masks.readouts[source] = output_mask(outputs, below).to(dtype)
            else:
                torch.gt(outputs[:, None], below[None, :], out=masks.readouts[source])
        return masks

    def forward(
        self, inputs: Tensor, masks: NetworkMasks, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return the outputs, shape ``(n_rows, n_outputs)``, of ``inputs`` (n_rows, n_inputs).

        Units are dropped only when a generator is given.
        """
        outputs = self.output_bias.expand(len(inputs), -1)
        if FROM_INPUT in self.readouts:
            outputs = outputs + self.readouts[FROM_INPUT](inputs, masks.readouts[FROM_INPUT])
        activations, stream = inputs, inputs
        for layer, linear in enumerate(self.hidden):
            update = linear(activations, masks.hidden[layer])
            stream = stream + update if self.config.residual and layer else update
            normed = self.norms[layer](stream, masks.groups[layer]) if self.norms else stream
            activations = dropout(self._activation(normed), self.config.dropout, dropout_random)
            if str(layer) in self.readouts:
                readout = self.readouts[str(layer)](activations, masks.readouts[str(layer)])
                outputs = outputs + readout
        return outputs
