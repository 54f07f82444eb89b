"""The members of an ensemble: their log-probabilities and their draws, several networks or one.

Knows models and connectivities; rows go through in chunks of bounded memory. Knows nothing of
weights, powers or normalisers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from made.errors import OptionError
from made.model import Model
from made.network.autoencoder import Wiring
from made.ordered import OrderedCache, sample_ordered
from made.orderings import Connectivity
from made.progress import NoProgress, Progress

# Rows that are scored together: the activations of 1000 units then take a few megabytes.
_CHUNK_ROWS = 1024
# Between two blocks of rows Ctrl-C is heard and progress is shown.
_BLOCK_ROWS = 65536
# Members that a thread scores before it takes others; below so many rows one thread does all.
_TASK = 4
_FEW_ROWS = 256


class Members:
    """Normalised autoregressive models q_1 .. q_K over the same columns.

    Parameters
    ----------
    networks : sequence of (Model, sequence of Connectivity)
        The members of each network follow those of the network before.
    """

    def __init__(self, networks: Sequence[tuple[Model, Sequence[Connectivity]]]) -> None:
        if not networks or not all(connectivities for _, connectivities in networks):
            raise OptionError("An ensemble needs at least one member of every network.")
        self.networks = tuple((model, tuple(members)) for model, members in networks)
        self._check_measure()
        self._starts = list(accumulate((len(m) for _, m in self.networks), initial=0))
        self._caches = [OrderedCache(model) for model, _ in self.networks]

    def _check_measure(self) -> None:
        """Densities over other columns, levels or bounds cannot be added up."""
        first = self.models[0].columns
        for number, model in enumerate(self.models[1:], start=2):
            if len(model.columns) != len(first):
                raise OptionError(
                    f"The models have different columns: {len(first)} in the first, "
                    f"{len(model.columns)} in model {number}. Pool models of one schema."
                )
            for ours, theirs in zip(first, model.columns, strict=True):
                if ours.measure != theirs.measure:
                    raise OptionError(
                        f"The models measure column {ours.name!r} differently: {ours.measure} in "
                        f"the first, {theirs.measure} in model {number}. Pool models of one schema."
                    )

    def __len__(self) -> int:
        return self._starts[-1]

    @property
    def models(self) -> list[Model]:
        return [model for model, _ in self.networks]

    @property
    def n_columns(self) -> int:
        return self.models[0].n_columns

    @property
    def network_of(self) -> np.ndarray:
        """The network of each member, shape ``(n_members,)``."""
        sizes = [len(members) for _, members in self.networks]
        return np.repeat(np.arange(len(sizes)), sizes)

    def __getitem__(self, k: int) -> Connectivity:
        network = self._network(k)
        return self.networks[network][1][k - self._starts[network]]

    def _network(self, k: int) -> int:
        return int(np.searchsorted(self._starts, k, side="right")) - 1

    def log_probs(
        self,
        values: Tensor,
        which: np.ndarray | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Return log q_k(x) in nats, float64, shape ``(n_rows, n_members)``.

        Parameters
        ----------
        values : Tensor, shape (n_rows, n_columns)
        which : ndarray of int, optional
            The members, ascending; by default all. Others cost nothing.
        """
        watch = progress or NoProgress()
        chosen = np.arange(len(self)) if which is None else which
        result = np.empty((len(values), len(chosen)))
        for model in self.models:
            model.eval()
        done = 0
        for start in range(0, len(values), _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            for n_members in self._score_block(values[block], chosen, result[block]):
                done += n_members * len(result[block])
                watch.update(min(done, result.size), result.size)
        return result

    def _score_block(self, values: Tensor, chosen: np.ndarray, result: np.ndarray) -> Iterator[int]:
        """Fill the columns of ``result``, member by member; yield how many were filled."""
        tasks = [range(i, min(i + _TASK, len(chosen))) for i in range(0, len(chosen), _TASK)]
        n_threads = torch.get_num_threads()
        on_processor = all(model.device.type == "cpu" for model in self.models)
        if not on_processor or min(n_threads, len(tasks)) < 2 or len(values) < _FEW_ROWS:
            for places in tasks:
                self._score(values, chosen, places, result)
                yield len(places)
            return
        # A thread for each member, instead of all threads for one after the other: products of
        # this size do not fill two processors, and nobody waits for anybody.
        alone = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            work = [alone.submit(self._score, values, chosen, task, result) for task in tasks]
            for finished in as_completed(work):
                finished.result()
                yield _TASK
        finally:
            alone.shutdown(cancel_futures=True)
            torch.set_num_threads(n_threads)

    @torch.no_grad()
    def _score(self, values: Tensor, chosen: np.ndarray, places: range, result: np.ndarray) -> None:
        """Fill the columns ``places`` of ``result``."""
        wiring, network_before = None, -1
        for place in places:
            k = int(chosen[place])
            network = self._network(k)
            model = self.networks[network][0]
            before = wiring if network == network_before else None
            wiring = _wire(model, self[k], min(len(values), _CHUNK_ROWS), before)
            network_before = network
            for start in range(0, len(values), _CHUNK_ROWS):
                rows = values[start : start + _CHUNK_ROWS].to(model.device, torch.float32)
                result[start : start + len(rows), place] = model.log_prob(rows, wiring).cpu()

    def draw(self, chosen: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Draw a row from each of the ``chosen`` members.

        Parameters
        ----------
        chosen : ndarray of int, shape (n_rows,)
        uniforms : ndarray, shape (n_rows, n_columns)
            In [0, 1); ``uniforms[r, d]`` decides cell d of row r.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_columns)
        """
        result = np.empty(uniforms.shape, dtype=np.float32)
        for k in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == k)
            result[rows] = sample_ordered(self._cache(k), self[k], uniforms[rows])
        return result

    def redraw(
        self, values: np.ndarray, chosen: np.ndarray, n_kept: int, uniforms: np.ndarray
    ) -> np.ndarray:
        """Redraw each row from its chosen member, given its first ``n_kept`` columns there.

        Parameters
        ----------
        values : ndarray of float32, shape (n_rows, n_columns)
        chosen : ndarray of int, shape (n_rows,)
        n_kept : int
            How many columns, first in the ordering of the chosen member, stay as they are.
        uniforms : ndarray, shape (n_rows, n_columns)
        """
        result = np.empty_like(values)
        for k in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == k)
            known = values[np.ix_(rows, self[k].order[:n_kept])]
            result[rows] = sample_ordered(self._cache(k), self[k], uniforms[rows], known)
        return result

    def _cache(self, k: int) -> OrderedCache:
        return self._caches[self._network(k)]


def _wire(model: Model, member: Connectivity, n_rows: int, before: Wiring | None) -> Wiring:
    if model.device.type == "cpu":
        return model.network.wire_prepared(member, n_rows, before)
    return model.network.wire(member)
