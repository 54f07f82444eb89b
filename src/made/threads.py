"""How many threads compiled loops may have.

Knows torch and Numba, which are slow to import: it imports them when it is asked.
"""

from __future__ import annotations


def set_compiled_threads() -> int:
    """Let the compiled loops that follow have as many threads as torch has; return how many."""
    import numba
    import torch

    n_threads = min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(n_threads)
    return n_threads
