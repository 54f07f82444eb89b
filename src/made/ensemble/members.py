"""The members of an ensemble: their log-probabilities and their draws, several networks or one.

Knows models and connectivities; rows go through in chunks of bounded memory. Knows nothing of
weights, powers or normalisers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from made.columns import CategoricalColumn, Column
from made.errors import OptionError
from made.model import Model
from made.network.autoencoder import Wiring
from made.ordered import OrderedCache, OrderedNetwork, sample_ordered
from made.orderings import Connectivity, with_first
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
        """Densities over other columns, levels or atoms cannot be added up."""
        first = self.models[0].columns
        for number, model in enumerate(self.models[1:], start=2):
            names, others = ([column.name for column in m] for m in (first, model.columns))
            if names != others:
                raise OptionError(
                    f"The models have different columns: {names[:4]} ({len(names)}) in the first, "
                    f"{others[:4]} ({len(others)}) in model {number}. Pool models of one schema."
                )
            for ours, theirs in zip(first, model.columns, strict=True):
                if ours.measure != theirs.measure:
                    raise OptionError(
                        f"The models measure column {ours.name!r} differently: {_told(ours)} in "
                        f"the first, {_told(theirs)} in model {number}. Pool models that were "
                        "fitted with one schema to the same rows."
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
    def outcomes(self) -> list[np.ndarray | None]:
        """All values of each column, None for one without an end of them."""
        return [column.outcomes for column in self.models[0].columns]

    def empty(self, n_rows: int) -> np.ndarray:
        """Return room for ``n_rows`` rows: float32 for 0 and 1 alone, else float64."""
        dtype = np.float32 if self.models[0].only_binary else np.float64
        return np.empty((n_rows, self.n_columns), dtype=dtype)

    def holds_unseen(self, values: np.ndarray) -> np.ndarray:
        """Return which rows hold a category that was never seen, shape ``(n_rows,)``."""
        result = np.zeros(len(values), dtype=np.bool_)
        for d, column in enumerate(self.models[0].columns):
            if isinstance(column, CategoricalColumn):
                result |= values[:, d] == len(column.levels)
        return result

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
        # Networks that were fitted to other rows have other scales.
        codes = [model.codes(values) for model in self.models]
        tasks = [range(i, min(i + _TASK, len(chosen))) for i in range(0, len(chosen), _TASK)]
        n_threads = torch.get_num_threads()
        on_processor = all(model.device.type == "cpu" for model in self.models)
        if not on_processor or min(n_threads, len(tasks)) < 2 or len(values) < _FEW_ROWS:
            for places in tasks:
                self._score(codes, chosen, places, result)
                yield len(places)
            return
        # A thread for each member, instead of all threads for one after the other: products of
        # this size do not fill two processors, and nobody waits for anybody.
        alone = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
        try:
            work = [alone.submit(self._score, codes, chosen, task, result) for task in tasks]
            for finished in as_completed(work):
                finished.result()
                yield _TASK
        finally:
            alone.shutdown(cancel_futures=True)
            torch.set_num_threads(n_threads)

    @torch.no_grad()
    def _score(
        self, codes: list[Tensor], chosen: np.ndarray, places: range, result: np.ndarray
    ) -> None:
        """Fill the columns ``places`` of ``result``."""
        wiring, network_before = None, -1
        for place in places:
            k = int(chosen[place])
            network = self._network(k)
            model = self.networks[network][0]
            before = wiring if network == network_before else None
            wiring = _wire(model, self[k], min(len(result), _CHUNK_ROWS), before)
            network_before = network
            for start in range(0, len(result), _CHUNK_ROWS):
                rows = codes[network][start : start + _CHUNK_ROWS]
                rows = rows.to(model.device, torch.float32)
                scores = model.log_prob(rows, wiring)
                result[start : start + len(rows), place] = scores.cpu()

    @torch.no_grad()
    def mean_log_conditionals(self, values: Tensor, weights: np.ndarray) -> np.ndarray:
        """Return sum_k w_k log q_k(x_d | columns before d in k), shape ``(n_rows, n_columns)``."""
        result = np.zeros((len(values), self.n_columns))
        codes = [model.codes(values) for model in self.models]
        for k in np.flatnonzero(weights).tolist():
            network = self._network(k)
            model = self.models[network]
            wiring = model.network.wire(self[k])
            for start in range(0, len(values), _CHUNK_ROWS):
                rows = codes[network][start : start + _CHUNK_ROWS].to(model.device, torch.float32)
                terms = model.log_conditionals(rows, wiring).cpu().double().numpy()
                result[start : start + len(rows)] += weights[k] * terms
        return result

    def with_first(self, *tiers: Collection[int]) -> Members:
        """Return the members whose orderings visit the columns of ``tiers`` before the others."""
        first = Members(
            [
                (model, [with_first(member, *tiers) for member in members])
                for model, members in self.networks
            ]
        )
        # One bound on memory for both.
        first._caches = self._caches
        return first

    def draw(self, chosen: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Draw a row from each of the ``chosen`` members.

        Parameters
        ----------
        chosen : ndarray of int, shape (n_rows,)
        uniforms : ndarray, shape (n_rows, n_columns)
            In [0, 1); ``uniforms[r, d]`` decides cell d of row r.

        Returns
        -------
        ndarray, shape (n_rows, n_columns), as `empty` returns it
        """
        result = self.empty(len(uniforms))
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
        values : ndarray, shape (n_rows, n_columns)
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

    def ordered(self, k: int) -> OrderedNetwork:
        """Return the ordered network of a member."""
        return self._cache(k).ordered(self[k])

    def _cache(self, k: int) -> OrderedCache:
        return self._caches[self._network(k)]


def _wire(model: Model, member: Connectivity, n_rows: int, before: Wiring | None) -> Wiring:
    if model.device.type == "cpu":
        return model.network.wire_prepared(member, n_rows, before)
    return model.network.wire(member)


def _told(column: Column) -> str:
    """Return what a density over the column is relative to, cut for a message."""
    facts = ", ".join(str(fact) for fact in column.measure[1:])
    return facts if len(facts) <= 80 else f"{facts[:80]}..."
