"""Several members combined into one density.

Knows a model, connectivities and weights: members are weighed, summed in log space, in chunks
of bounded memory. Knows nothing of tables, files or training.

Today the combination is the mixture, sum_k w_k q_k(x); its normaliser is 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from made.errors import OptionError
from made.model import Model
from made.network.autoencoder import Wiring
from made.ordered import OrderedCache, sample_ordered
from made.orderings import Connectivity
from made.progress import NoProgress, Progress
from made.uniforms import MEMBER_CHOICE, uniforms

# Rows that are scored together: the activations of 1000 units then take a few megabytes.
_CHUNK_ROWS = 1024
# Rows that are drawn together: between two chunks Ctrl-C is heard and progress is shown.
_DRAW_ROWS = 8192


class Ensemble:
    """A mixture of members, log p(x) = log sum_k w_k q_k(x).

    Parameters
    ----------
    model : Model
    members : sequence of Connectivity
    weights : array_like, shape (n_members,), optional
        Non-negative, summing to 1; equal by default.
    """

    def __init__(
        self,
        model: Model,
        members: Sequence[Connectivity],
        weights: np.ndarray | Sequence[float] | None = None,
    ) -> None:
        if not members:
            raise OptionError("An ensemble needs at least one member.")
        self.model = model
        self.members = tuple(members)
        self.weights = _check_weights(weights, len(members))
        self._cache = OrderedCache(model)

    @property
    def n_members(self) -> int:
        return len(self.members)

    @torch.no_grad()
    def member_log_probs(self, values: Tensor, progress: Progress | None = None) -> np.ndarray:
        """Return log q_k(x) in nats, float64, shape ``(n_rows, n_members)``.

        Parameters
        ----------
        values : Tensor, shape (n_rows, n_columns)
        """
        watch = progress or NoProgress()
        self.model.eval()
        result = np.empty((len(values), self.n_members))
        wiring = None
        for k, member in enumerate(self.members):
            wiring = self._wire(member, min(len(values), _CHUNK_ROWS), wiring)
            for start in range(0, len(values), _CHUNK_ROWS):
                rows = values[start : start + _CHUNK_ROWS].to(self.model.device, torch.float32)
                result[start : start + len(rows), k] = self.model.log_prob(rows, wiring).cpu()
                watch.update(k * len(values) + start + len(rows), result.size)
        return result

    def combine(self, member_log_probs: np.ndarray) -> np.ndarray:
        """Return log p(x) from the log-probs of the members; shape ``(n_rows,)``."""
        with np.errstate(divide="ignore"):
            terms = member_log_probs + np.log(self.weights)
        return np.logaddexp.reduce(terms, axis=1)

    def log_prob(self, values: Tensor, progress: Progress | None = None) -> np.ndarray:
        """Return log p(x) in nats, exact, float64, shape ``(n_rows,)``."""
        return self.combine(self.member_log_probs(values, progress))

    def sample(
        self, n_rows: int, seed: int, *, first_row: int = 0, progress: Progress | None = None
    ) -> np.ndarray:
        """Draw rows ``first_row .. first_row + n_rows - 1`` of the endless table of ``seed``.

        Each row picks a member by the weights, then its cells along that member's ordering. A row
        depends on the seed and its number alone. Returns float32, ``(n_rows, n_columns)``.
        """
        watch = progress or NoProgress()
        result = np.empty((n_rows, self.model.n_columns), dtype=np.float32)
        for start in range(0, n_rows, _DRAW_ROWS):
            stop = min(start + _DRAW_ROWS, n_rows)
            result[start:stop] = self._draw(first_row + start, stop - start, seed)
            watch.update(stop, n_rows)
        return result

    def _draw(self, first_row: int, n_rows: int, seed: int) -> np.ndarray:
        choice = uniforms(seed, first_row, n_rows, 1, MEMBER_CHOICE)[:, 0]
        # The last bound is 1 whatever the rounding, so that every uniform finds a member.
        bounds = np.cumsum(self.weights)[:-1]
        chosen = np.searchsorted(bounds, choice, side="right")
        cells = uniforms(seed, first_row, n_rows, self.model.n_columns)
        result = np.empty((n_rows, self.model.n_columns), dtype=np.float32)
        for k in np.unique(chosen):
            rows = np.flatnonzero(chosen == k)
            result[rows] = sample_ordered(self._cache, self.members[k], cells[rows])
        return result

    def _wire(self, member: Connectivity, n_rows: int, before: Wiring | None) -> Wiring:
        network = self.model.network
        if self.model.device.type == "cpu":
            return network.wire_prepared(member, n_rows, before)
        return network.wire(member)


def _check_weights(weights: np.ndarray | Sequence[float] | None, n_members: int) -> np.ndarray:
    if weights is None:
        return np.full(n_members, 1 / n_members)
    checked = np.asarray(weights, dtype=np.float64)
    if checked.shape != (n_members,):
        raise OptionError(f"There are {n_members} members and {checked.size} weights.")
    if not np.isfinite(checked).all() or (checked < 0).any() or abs(checked.sum() - 1) > 1e-6:
        raise OptionError(
            "Weights must be non-negative and sum to 1; they sum to "
            f"{checked.sum():.6g}, the smallest is {checked.min():.6g}."
        )
    return checked / checked.sum()
