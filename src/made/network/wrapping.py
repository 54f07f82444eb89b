"""Turning somebody's own autoencoder into a MADE.

Knows `torch.nn` modules and masks; the module's layers keep their parameters, and the wrapper
cuts edges at every call. Knows nothing of training or data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from made.errors import OptionError, UnsupportedLayerError
from made.masks import hidden_mask, output_mask
from made.orderings import check_ordering, draw_hidden_degrees, ranks
from made.uniforms import HIDDEN_DEGREES, generator

# Layers that treat every unit by itself, so that cutting edges elsewhere is enough.
_ELEMENTWISE: tuple[type[nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid,
    nn.Hardswish, nn.Identity, nn.Dropout,
)  # fmt: skip

_MIXING: dict[type[nn.Module], str] = {
    nn.LayerNorm: "divides every unit by a statistic of all units",
    nn.RMSNorm: "divides every unit by a statistic of all units",
    nn.GroupNorm: "divides every unit by a statistic of its group",
    nn.BatchNorm1d: "makes a row depend on the other rows of its batch while training",
    nn.Softmax: "divides every unit by a sum over all units",
    nn.LogSoftmax: "subtracts from every unit a sum over all units",
    nn.Bilinear: "multiplies units with each other",
    nn.GLU: "multiplies one half of the units with the other",
}


class MaskedSequential(nn.Module):
    """A user's `nn.Sequential` with its edges cut; it shares all parameters with the original."""

    def __init__(self, module: nn.Sequential, masks: Sequence[Tensor]) -> None:
        super().__init__()
        self.module = module
        for index, mask in enumerate(masks):
            self.register_buffer(f"mask_{index}", mask)

    def forward(self, inputs: Tensor) -> Tensor:
        index = 0
        for _, layer in _layers(self.module):
            if isinstance(layer, nn.Linear):
                mask = self.get_buffer(f"mask_{index}")
                inputs = F.linear(inputs, layer.weight * mask, layer.bias)
                index += 1
            else:
                inputs = layer(inputs)
        return inputs


def mask_autoencoder(
    module: nn.Sequential,
    ordering: Sequence[int] | np.ndarray,
    *,
    input_columns: Sequence[int] | np.ndarray | None = None,
    output_columns: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> MaskedSequential:
    """Return ``module`` with the edges cut that would let an output see itself or a later column.

    The result computes ``W_L * M_L f(... f(W_1 * M_1 x + b_1) ...) + b_L`` (Germain et al. 2015,
    equations 8 to 13). It shares its parameters with ``module``: training one trains the other,
    and the stored weights are never masked.

    Parameters
    ----------
    module : torch.nn.Sequential
        Linear layers and elementwise activations; the first layer takes the columns, the last
        emits a parameter (or several) for each.
    ordering : sequence of int
        ``ordering[t]`` is the column visited at step ``t``.
    input_columns, output_columns : sequence of int, optional
        The column of each input and output; by default unit ``i`` belongs to column ``i``.
    seed : int
        Seed of the degrees of the hidden units.

    Raises
    ------
    UnsupportedLayerError
        For a layer that mixes units (LayerNorm, Softmax, ...): no mask on the weights can make it
        autoregressive.
    OptionError
        If the widths of the module do not fit the ordering.

    Examples
    --------
    >>> from made.masks import check_autoregressive
    >>> autoencoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3))
    >>> made = mask_autoencoder(autoencoder, [2, 0, 1])
    >>> check_autoregressive(made, [2, 0, 1])
    """
    order = check_ordering(ordering)
    rank = ranks(order)
    linears = _linear_layers(module)
    widths = [linear.out_features for linear in linears]
    columns_in = np.arange(len(order)) if input_columns is None else np.asarray(input_columns)
    columns_out = np.arange(len(order)) if output_columns is None else np.asarray(output_columns)
    for name, columns, width in (
        ("input", columns_in, linears[0].in_features),
        ("output", columns_out, widths[-1]),
    ):
        if len(columns) != width:
            raise OptionError(
                f"The module has {width} {name}s for {len(columns)} columns of the ordering. "
                f"Pass {name}_columns=[...], the column of each {name}."
            )
    for before, after in pairwise(linears):
        if before.out_features != after.in_features:
            raise OptionError(
                f"A layer with {before.out_features} outputs is followed by one with "
                f"{after.in_features} inputs."
            )
    hidden = draw_hidden_degrees(generator(seed, HIDDEN_DEGREES), len(order), widths[:-1])
    degrees = [torch.as_tensor(layer) for layer in (rank[columns_in] + 1, *hidden)]
    masks = [hidden_mask(above, below) for below, above in pairwise(degrees)]
    masks.append(output_mask(torch.as_tensor(rank[columns_out] + 1), degrees[-1]))
    device = linears[0].weight.device
    return MaskedSequential(module, [mask.to(device) for mask in masks])


def _layers(module: nn.Sequential, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers with their names, those of nested `nn.Sequential` too."""
    for name, layer in module.named_children():
        if type(layer) is nn.Sequential:
            yield from _layers(layer, f"{prefix}{name}.")
        else:
            yield prefix + name, layer


def _linear_layers(module: nn.Module) -> list[nn.Linear]:
    if not isinstance(module, nn.Sequential):
        raise UnsupportedLayerError(
            f"mask_autoencoder takes an nn.Sequential, got {type(module).__name__}: only there is "
            "the order of the layers known. Wrap the layers in nn.Sequential, or build the "
            "masks yourself and test them with check_autoregressive."
        )
    linears = []
    for name, layer in _layers(module):
        if type(layer) is nn.Linear:
            linears.append(layer)
        elif type(layer) not in _ELEMENTWISE:
            reason = _MIXING.get(type(layer), "is not known to treat every unit by itself")
            raise UnsupportedLayerError(
                f"Layer {name} ({type(layer).__name__}) {reason}, so no mask on the weights can "
                "make this module autoregressive. Use nn.Linear and elementwise activations."
            )
    if not linears:
        raise OptionError("The module has no nn.Linear layer.")
    return linears
