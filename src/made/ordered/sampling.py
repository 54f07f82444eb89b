"""Drawing rows from one member at the cost of about one forward pass, and the cache for it.

Chooses between the compiled kernel and plain torch, keeps what is prepared for a connectivity,
and says when something slow happens. Knows nothing of ensembles or tables.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from made.model import Model
from made.ordered.network import OrderedNetwork, order_network
from made.ordered.plan import Plan, make_plan
from made.ordered.stepwise import draw_stepwise
from made.orderings import Connectivity
from made.threads import set_compiled_threads

# Rows that a tile of the kernel computes side by side, by how many are to be drawn. Products have
# few, fixed shapes, so that a row does not depend on how many others are drawn with it; small ones
# are for a row or a few, and for two threads to share.
_LANES = ((1, 1), (8, 8), (128, 64))
_MOST_LANES = 128
_MAX_CACHE_BYTES = 512 * 2**20


class OrderedCache:
    """Ordered networks and their plans, the last used ones, within a bound on memory.

    What was prepared is thrown away when the weights change. One cache belongs to one model.
    """

    def __init__(self, model: Model, max_bytes: int = _MAX_CACHE_BYTES) -> None:
        self.model = model
        self.max_bytes = max_bytes
        self._version: tuple[tuple[int, int], ...] = ()
        self._entries: OrderedDict[
            tuple[int, int | None], tuple[OrderedNetwork | Plan, int, Connectivity]
        ] = OrderedDict()

    def ordered(self, connectivity: Connectivity) -> OrderedNetwork:
        """Return the ordered network of ``connectivity``."""

        def build() -> tuple[OrderedNetwork, int]:
            ordered = order_network(self.model, connectivity)
            matrices = (*ordered.hidden, *ordered.readouts)
            return ordered, sum(matrix.weight.nbytes for matrix in matrices)

        return self._get(connectivity, None, build)

    def plan(self, connectivity: Connectivity, n_known: int) -> Plan:
        """Return the kernel's plan of ``connectivity`` with ``n_known`` columns known."""

        def build() -> tuple[Plan, int]:
            plan = make_plan(order_network(self.model, connectivity), n_known)
            return plan, plan.n_bytes

        return self._get(connectivity, n_known, build)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def n_bytes(self) -> int:
        return sum(size for _, size, _ in self._entries.values())

    def _get(self, connectivity: Connectivity, n_known: int | None, build: Any) -> Any:
        key = (id(connectivity), n_known)
        version = tuple((p.data_ptr(), p._version) for p in self.model.parameters())
        if version != self._version:
            self._entries.clear()
            self._version = version
        if key not in self._entries:
            # The connectivity is kept too: as long as it lives, no other has its identity.
            self._entries[key] = (*build(), connectivity)
            while self.n_bytes > self.max_bytes and len(self._entries) > 1:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return self._entries[key][0]


def sample_ordered(
    cache: OrderedCache,
    connectivity: Connectivity,
    uniforms: np.ndarray,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Draw rows from one member, each hidden unit computed once.

    The rows are those that `sample_reference` draws from the same uniforms, save where a uniform
    is within rounding of its threshold.

    Parameters
    ----------
    cache : OrderedCache
        Of the model that is drawn from.
    connectivity : Connectivity
    uniforms : ndarray of float64, shape (n_rows, n_columns)
        In [0, 1); ``uniforms[r, d]`` decides cell d of row r.
    known : ndarray, shape (n_rows, n_known), optional
        Values of the first ``n_known`` columns of the ordering; they cost one product.

    Returns
    -------
    ndarray, shape (n_rows, n_columns)
        float32 where all columns are binary, else float64 with NaN where missing.

    Raises
    ------
    WeightsError
        If the weights hold NaN or infinity.
    """
    model = cache.model
    front = np.empty((len(uniforms), 0), dtype=np.float32) if known is None else known
    if not has_kernel(model):
        drawn = draw_stepwise(
            cache.ordered(connectivity),
            torch.as_tensor(np.ascontiguousarray(uniforms), device=model.device),
            torch.as_tensor(front, device=model.device),
        )
        return drawn.cpu().numpy()
    plan = cache.plan(connectivity, front.shape[1])
    result = np.empty(uniforms.shape, dtype=np.float32)
    arguments = (
        plan,
        np.ascontiguousarray(uniforms),
        np.ascontiguousarray(front, dtype=np.float32),
        result,
    )
    # Slow to import, and not needed for other families and devices.
    from made.ordered import kernels

    lanes = next((lanes for up_to, lanes in _LANES if len(uniforms) <= up_to), _MOST_LANES)
    with _blas_threads().limit(limits=1, user_api="blas"):
        n_threads = set_compiled_threads()
        if len(uniforms) <= lanes or n_threads == 1:
            kernels.draw_serial(*arguments, lanes)
        else:
            kernels.draw_parallel(*arguments, lanes, n_threads)
    return result


def has_kernel(model: Model) -> bool:
    """Return whether the compiled kernel can draw from ``model``: binary columns, on the CPU."""
    has_matrices = len(model.network.hidden) + len(model.network.readouts) > 0
    return model.only_binary and has_matrices and model.device.type == "cpu"


@lru_cache(maxsize=1)
def _blas_threads() -> Any:
    """Return the control of BLAS threads: the kernel's threads each call BLAS on their own."""
    import scipy.linalg.cython_blas  # noqa: F401  The BLAS that compiled code calls; it must be loaded to be found.
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
