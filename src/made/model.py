"""A network and the conditional families of its columns: the density of one member.

Knows columns, families, masks. Knows nothing of ensembles, training or tables: values are
already a tensor, one number a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from made.columns import Column
from made.conditionals import FAMILIES, ConditionalFamily
from made.encoding import encode, input_columns
from made.network.autoencoder import MaskedAutoencoder, Wiring
from made.network.config import NetworkConfig
from made.orderings import ConnectivitySource
from made.uniforms import INITIAL_WEIGHTS, derived_seed


@dataclass(frozen=True)
class FamilyGroup:
    """The columns of one family: they are evaluated together.

    ``outputs`` holds, column by column, the network outputs that are their parameters.
    """

    family: ConditionalFamily
    columns: Tensor
    outputs: Tensor


class Model(nn.Module):
    """q(x | connectivity) = prod_t p(x_[t] | x_[1..t-1]): one network, all its members.

    Parameters
    ----------
    columns : sequence of Column
    config : NetworkConfig
    """

    def __init__(self, columns: Sequence[Column], config: NetworkConfig) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.config = config
        widths = [FAMILIES[column.family].n_parameters for column in self.columns]
        output_columns = np.repeat(np.arange(len(widths)), widths)
        ends = np.cumsum(widths).tolist()
        self.output_slices = [
            slice(end - width, end) for end, width in zip(ends, widths, strict=True)
        ]
        self.network = MaskedAutoencoder(config, input_columns(self.columns), output_columns)
        self.groups = _family_groups(self.columns, output_columns)

    @property
    def n_columns(self) -> int:
        return len(self.columns)

    @property
    def device(self) -> torch.device:
        return self.network.output_bias.device

    def connectivity_source(self, seed: int, n_orderings: int | None) -> ConnectivitySource:
        """Return the source of connectivities that fit this network."""
        return ConnectivitySource(
            n_columns=self.n_columns,
            widths=self.config.hidden,
            seed=seed,
            n_orderings=n_orderings,
            hidden_degrees=self.config.hidden_degrees,
            spread=self.config.spread,
            shared=self.config.residual,
        )

    def initialize(self, seed: int, values: Tensor) -> None:
        """Draw the weights from ``seed``; outputs start at the marginals of ``values``."""
        bias = torch.empty(self.network.output_bias.shape)
        for group in self.groups:
            size = group.family.n_parameters
            outputs = group.outputs.view(-1, size).tolist()
            for column, places in zip(group.columns.tolist(), outputs, strict=True):
                bias[places] = group.family.marginal_parameters(values[:, column])
        random = torch.Generator().manual_seed(derived_seed(seed, INITIAL_WEIGHTS))
        self.network.initialize(random, bias)

    def parameters_of(
        self, values: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return the parameters of all conditionals, shape ``(n_rows, n_outputs)``."""
        return self.network(encode(self.columns, values), wiring, dropout_random)

    def log_conditionals(
        self, values: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return log p(x_d | columns before d), in nats, shape ``(n_rows, n_columns)``.

        Parameters
        ----------
        values : Tensor, shape (n_rows, n_columns)
        wiring : Wiring
            The member, as ``network.wire(connectivity)`` returns it.
        dropout_random : torch.Generator, optional
            Given only while training: the source of the dropped units.
        """
        outputs = self.parameters_of(values, wiring, dropout_random)
        if len(self.groups) == 1:
            return self._group_log_prob(self.groups[0], outputs, values)
        result = torch.empty_like(values)
        for group in self.groups:
            parameters = outputs[:, group.outputs]
            result[:, group.columns] = self._group_log_prob(
                group, parameters, values[:, group.columns]
            )
        return result

    def forward(
        self, values: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return `log_conditionals`."""
        return self.log_conditionals(values, wiring, dropout_random)

    def draw_column(self, column: int, parameters: Tensor, uniforms: Tensor) -> Tensor:
        """Return draws of one column, shape ``(n_rows,)``, from its parameters and uniforms."""
        return FAMILIES[self.columns[column].family].sample(parameters, uniforms)

    def log_prob(self, values: Tensor, wiring: Wiring) -> Tensor:
        """Return log q(x) of one member in nats, shape ``(n_rows,)``, summed in float64."""
        return self.log_conditionals(values, wiring).sum(dim=1, dtype=torch.float64)

    @staticmethod
    def _group_log_prob(group: FamilyGroup, parameters: Tensor, values: Tensor) -> Tensor:
        shaped = parameters.view(len(parameters), -1, group.family.n_parameters)
        return group.family.log_prob(shaped, values)


def _family_groups(columns: Sequence[Column], output_columns: np.ndarray) -> list[FamilyGroup]:
    groups = []
    for name in dict.fromkeys(column.family for column in columns):
        members = np.array([d for d, column in enumerate(columns) if column.family == name])
        outputs = np.flatnonzero(np.isin(output_columns, members))
        groups.append(
            FamilyGroup(FAMILIES[name], torch.as_tensor(members), torch.as_tensor(outputs))
        )
    return groups
