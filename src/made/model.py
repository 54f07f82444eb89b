"""A network and the conditional families of its columns: the density of one member.

Knows columns, families, masks. Knows nothing of ensembles, training or tables: values are
already numbers, one a cell, NaN where missing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from made.columns import CategoricalColumn, Column
from made.conditionals import Stack, family_of
from made.encoding import EMBEDDING_SIZE, Encoder, is_embedded
from made.network.autoencoder import MaskedAutoencoder, Wiring
from made.network.config import NetworkConfig
from made.orderings import ConnectivitySource
from made.uniforms import INITIAL_WEIGHTS, derived_seed

# Logits of embedded columns that are held at once where no gradient needs them: 64 MB.
_CHUNK_LOGITS = 2**24


class Model(nn.Module):
    """q(x | connectivity) = prod_t p(x_[t] | x_[1..t-1]): one network, all its members.

    A column of very many classes does not have a logit each: the network puts out a query, and the
    logits are its products with the points of the classes, the same that its inputs are taken
    from, plus a bias each.

    Parameters
    ----------
    columns : sequence of Column
    config : NetworkConfig
    """

    def __init__(self, columns: Sequence[Column], config: NetworkConfig) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.config = config
        # What families keep are numbers, also where the parameters are shapes alone ("meta").
        with torch.device("cpu"):
            self.families = [family_of(column) for column in self.columns]
            self._encoder = Encoder(self.columns)
            self._column_encoders = [Encoder([column]) for column in self.columns]
        # A number, missing cells included, needs float64; 0 and 1 do not.
        self.only_binary = all(family.name == "bernoulli" for family in self.families)
        widths = [
            EMBEDDING_SIZE if is_embedded(column) else family.n_parameters
            for column, family in zip(self.columns, self.families, strict=True)
        ]
        output_columns = np.repeat(np.arange(len(widths)), widths)
        ends = np.cumsum(widths).tolist()
        self.output_slices = [
            slice(end - width, end) for end, width in zip(ends, widths, strict=True)
        ]
        code_ends = np.cumsum([column.n_codes for column in self.columns]).tolist()
        self._code_slices = [
            slice(end - column.n_codes, end)
            for end, column in zip(code_ends, self.columns, strict=True)
        ]
        self.network = MaskedAutoencoder(
            config, self._encoder.input_columns, output_columns, self._encoder.direct_inputs
        )
        self.points, self.biases = nn.ParameterDict(), nn.ParameterDict()
        for place, column in enumerate(self.columns):
            if is_embedded(column):
                assert isinstance(column, CategoricalColumn)
                size = (column.n_classes, EMBEDDING_SIZE)
                self.points[str(place)] = nn.Parameter(torch.empty(size))
                self.biases[str(place)] = nn.Parameter(torch.empty(column.n_classes))
        with torch.device("cpu"):
            self._stacks = self._stack_families()

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

    @torch.no_grad()
    def initialize(self, seed: int, values: Tensor | np.ndarray) -> None:
        """Draw the weights from ``seed``; outputs start at the marginals of ``values``."""
        table = np.asarray(values)
        random = torch.Generator().manual_seed(derived_seed(seed, INITIAL_WEIGHTS))
        bias = torch.zeros(self.network.output_bias.shape)
        for place, family in enumerate(self.families):
            start = family.marginal_parameters(table[:, place])
            if str(place) in self.points:
                self.biases[str(place)].copy_(start)
            else:
                bias[self.output_slices[place]] = start
        self.network.initialize(random, bias)
        for points in self.points.values():
            points.normal_(0.0, EMBEDDING_SIZE**-0.5, generator=random)

    def codes(self, values: Tensor | np.ndarray) -> Tensor:
        """Return what the model reads of ``values``, shape ``(n_rows, n_codes)``.

        Of 0 and 1 alone that is the values themselves, in whatever type they came.
        """
        if self.only_binary:
            return torch.as_tensor(values)
        table = np.asarray(values.cpu() if isinstance(values, Tensor) else values)
        parts = [
            column.codes(table[:, place].astype(np.float64, copy=False))
            for place, column in enumerate(self.columns)
        ]
        return torch.as_tensor(np.concatenate(parts, axis=1))

    def any_row(self) -> Tensor:
        """Return values that the columns can have, float64, for cells that no edge leads from."""
        outcomes = [column.outcomes for column in self.columns]
        # A column without an end of outcomes is one of numbers.
        first = [0.0 if of_column is None else float(of_column[0]) for of_column in outcomes]
        return torch.tensor(first, dtype=torch.float64)

    def features(self, codes: Tensor) -> Tensor:
        """Return what the network sees of rows, shape ``(n_rows, n_inputs)``."""
        return self._encoder(codes, dict(self.points.items()))

    def parameters_of(
        self, codes: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return the network's outputs for all conditionals, shape ``(n_rows, n_outputs)``."""
        return self.network(self.features(codes), wiring, dropout_random)

    def encode_column(self, column: int, values: Tensor) -> Tensor:
        """Return the input features of one column, shape ``(n_rows, n_inputs)``, of its values."""
        if self.only_binary:
            return values[:, None].to(torch.float32)
        cells = values.cpu().to(torch.float64).numpy()
        codes = torch.as_tensor(self.columns[column].codes(cells), device=values.device)
        own = {"0": self.points[str(column)]} if str(column) in self.points else {}
        return self._column_encoders[column](codes, own)

    def log_conditionals(
        self, codes: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return log p(x_d | columns before d), in nats, shape ``(n_rows, n_columns)``.

        Parameters
        ----------
        codes : Tensor of float32, shape (n_rows, n_codes)
            As `codes` returns them.
        wiring : Wiring
            The member, as ``network.wire(connectivity)`` returns it.
        dropout_random : torch.Generator, optional
            Given only while training: the source of the dropped units.
        """
        return self.terms(self.parameters_of(codes, wiring, dropout_random), codes)

    def terms(self, outputs: Tensor, codes: Tensor) -> Tensor:
        """Return the log-probabilities of cells by the network's outputs for their columns.

        Shapes ``(n_rows, n_outputs)`` and ``(n_rows, n_codes)`` -> ``(n_rows, n_columns)``.
        """
        if self.only_binary:
            # The hot path of tables of bits: nothing is gathered.
            return self.families[0].log_prob_of_codes(outputs[..., None], codes[..., None])
        parts = [stack.log_prob(outputs, codes) for stack, _ in self._stacks]
        places = [column for _, columns in self._stacks for column in columns]
        for place in map(int, self.points):
            parts.append(self._embedded_log_prob(place, outputs, codes))
            places.append(place)
        # Gathering is differentiable, and cheaper than writing into a table.
        order = torch.as_tensor(np.argsort(places), device=codes.device)
        return torch.cat(parts, 1).index_select(1, order)

    def forward(
        self, codes: Tensor, wiring: Wiring, dropout_random: torch.Generator | None = None
    ) -> Tensor:
        """Return `log_conditionals`."""
        return self.log_conditionals(codes, wiring, dropout_random)

    def family_parameters(self, column: int, outputs: Tensor) -> Tensor:
        """Return the parameters of a column's family from its own outputs of the network."""
        if str(column) not in self.points:
            return outputs
        return outputs @ self.points[str(column)].T + self.biases[str(column)]

    @torch.no_grad()
    def draw_column(self, column: int, outputs: Tensor, uniforms: Tensor) -> Tensor:
        """Return draws of one column, shape ``(n_rows,)``, from its outputs and uniforms."""
        family = self.families[column]
        if str(column) not in self.points:
            return family.sample(outputs, uniforms)
        step = self._rows_at_once(column)
        pieces = [
            family.sample(self.family_parameters(column, rows), drawn)
            for rows, drawn in zip(outputs.split(step), uniforms.split(step), strict=True)
        ]
        return torch.cat(pieces) if pieces else uniforms.to(torch.float64)

    def log_prob(self, codes: Tensor, wiring: Wiring) -> Tensor:
        """Return log q(x) of one member in nats, shape ``(n_rows,)``, summed in float64."""
        return self.log_conditionals(codes, wiring).sum(dim=1, dtype=torch.float64)

    def _embedded_log_prob(self, place: int, outputs: Tensor, codes: Tensor) -> Tensor:
        """Return the log-probabilities of an embedded column's cells, shape ``(n_rows, 1)``."""
        own_outputs = outputs[:, self.output_slices[place]]
        own_codes = codes[:, self._code_slices[place]]
        n_rows = len(outputs) if torch.is_grad_enabled() else self._rows_at_once(place)
        pieces = [
            self.families[place].log_prob_of_codes(self.family_parameters(place, rows), cells)
            for rows, cells in zip(
                own_outputs.split(max(n_rows, 1)), own_codes.split(max(n_rows, 1)), strict=True
            )
        ]
        return torch.cat(pieces)[:, None]

    def _rows_at_once(self, place: int) -> int:
        return max(_CHUNK_LOGITS // len(self.biases[str(place)]), 1)

    def _stack_families(self) -> list[tuple[Stack, list[int]]]:
        """Return the stacks of the columns that have their own outputs, and those columns."""
        sorts: dict[str, list[int]] = {}
        for place, family in enumerate(self.families):
            if str(place) not in self.points:
                sorts.setdefault(family.name, []).append(place)
        return [
            (
                Stack(
                    [self.families[place] for place in places],
                    [self.output_slices[place] for place in places],
                    [self._code_slices[place] for place in places],
                ),
                places,
            )
            for places in sorts.values()
        ]
