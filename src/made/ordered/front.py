"""The front of an ordering in one pass: what the first columns score, what may come next.

Evidence and marginals reach no further than their own columns, so nothing behind them is computed.
Knows the ordered network and the families of its columns; knows nothing of ensembles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from made.errors import WeightsError
from made.model import Model
from made.network.autoencoder import ACTIVATIONS
from made.network.layers import DegreeGroups, cumulative_rms
from made.ordered.network import INPUTS, OrderedNetwork, order_network
from made.orderings import Connectivity

# Outputs that are held at once: 64 MB.
_CHUNK_OUTPUTS = 2**24


class Front:
    """The first columns of one member's ordering, and columns that may follow them.

    Parameters
    ----------
    model : Model
    connectivity : Connectivity
    n_front : int
        How many columns the front has.
    following : sequence of int
        Columns outside the front.
    """

    def __init__(
        self,
        model: Model,
        connectivity: Connectivity,
        n_front: int,
        following: Sequence[int] = (),
    ) -> None:
        self.model = model
        self.columns: list[int] = connectivity.order[:n_front].tolist()
        self._ordered = order_network(model, connectivity, n_front, following)
        degrees = [
            np.repeat(np.arange(len(starts) - 1), np.diff(starts))
            for starts in self._ordered.unit_starts
        ]
        self._groups = [DegreeGroups.of(layer, model.device) for layer in degrees]
        self._spans: dict[int, slice] = {}
        for step, column in enumerate(self.columns):
            self._spans[column] = slice(*self._ordered.output_starts[step : step + 2].tolist())
        place = int(self._ordered.output_starts[n_front])
        for column in sorted(following):
            width = model.output_slices[column].stop - model.output_slices[column].start
            self._spans[column] = slice(place, place + width)
            place += width

    @property
    def ordered(self) -> OrderedNetwork:
        return self._ordered

    @property
    def rows_at_once(self) -> int:
        """How many rows a pass should have at most."""
        n_outputs = max(len(self._ordered.output_shift), 1)
        widest = max((len(matrix.shift) for matrix in self._ordered.hidden), default=1)
        return max(_CHUNK_OUTPUTS // max(n_outputs, widest), 1)

    @torch.no_grad()
    def outputs(self, values: Tensor) -> Tensor:
        """Return the network's outputs, shape ``(n_rows, n_outputs)``, for `log_probs` and others.

        Parameters
        ----------
        values : Tensor, shape (n_rows, n_front)
            In the order of `columns`.

        Raises
        ------
        WeightsError
            If an output is not finite.
        """
        features = [
            self.model.encode_column(column, values[:, place]).to(torch.float32)
            for place, column in enumerate(self.columns)
        ]
        inputs = torch.cat(features, 1) if features else values.new_empty((len(values), 0))
        return self._checked(self._pass(inputs.to(torch.float32)))

    @torch.no_grad()
    def outputs_of_features(self, features: Tensor) -> Tensor:
        """Return `outputs` from the features of whole rows, as `Model.features` returns them."""
        return self._checked(self._pass(features[:, self._ordered.input_places]))

    def _checked(self, outputs: Tensor) -> Tensor:
        if not bool(torch.isfinite(outputs).all()):
            raise WeightsError(
                "The weights of the model hold NaN or infinity, or overflow: nothing can be asked "
                "of it. Fit the model again."
            )
        return outputs

    def _pass(self, inputs: Tensor) -> Tensor:
        ordered, config = self._ordered, self.model.config
        shift = ordered.output_shift + sum(readout.shift for readout in ordered.readouts)
        activations, stream = {INPUTS: inputs}, inputs
        for layer, matrix in enumerate(ordered.hidden):
            update = torch.addmm(matrix.shift, activations[matrix.source], matrix.weight.T)
            stream = stream + update if config.residual and layer else update
            normed = stream
            if ordered.gains:
                normed = cumulative_rms(stream, ordered.gains[layer], self._groups[layer])
            activations[layer] = ACTIVATIONS[config.activation](normed)
        outputs = shift.expand(len(inputs), -1)
        for readout in ordered.readouts:
            outputs = outputs + activations[readout.source] @ readout.weight.T
        return outputs

    @torch.no_grad()
    def by_column(self, outputs: Tensor) -> Tensor:
        """Return the outputs in the order of the model's columns, where all of these are here."""
        places = torch.empty(outputs.shape[1], dtype=torch.int64)
        for column, span in self._spans.items():
            places[self.model.output_slices[column]] = torch.arange(span.start, span.stop)
        return outputs[:, places.to(outputs.device)]

    def parameters(self, outputs: Tensor, column: int) -> Tensor:
        """Return the parameters of a column's family, of the front or following it."""
        return self.model.family_parameters(column, outputs[:, self._spans[column]])

    @torch.no_grad()
    def log_conditionals(self, values: Tensor, outputs: Tensor) -> Tensor:
        """Return log p(x_d | columns before d) of the columns of the front, ``(n_rows, n_front)``.

        ``values`` are those that ``outputs`` came of.
        """
        if self.model.only_binary:
            # One call for all columns: fronts of binary tables are long.
            return self.model.families[0].log_prob_of_codes(
                outputs[:, : len(self.columns), None], values[..., None].to(torch.float32)
            )
        terms = [
            self.model.families[column].log_prob(self.parameters(outputs, column), values[:, place])
            for place, column in enumerate(self.columns)
        ]
        return torch.stack(terms, 1) if terms else values

    def score(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return `outputs` and log p of the front's columns, in nats, float64, ``(n_rows,)``."""
        outputs = self.outputs(values)
        return outputs, self.log_conditionals(values, outputs).sum(1, dtype=torch.float64).cpu()

    def log_probs(self, values: Tensor) -> Tensor:
        """Return log p of the front's columns in nats, float64, shape ``(n_rows,)``.

        Parameters
        ----------
        values : Tensor of float64, shape (n_rows, n_front)
            In the order of `columns`.
        """
        return torch.cat([self.score(rows)[1] for rows in values.split(self.rows_at_once)])
