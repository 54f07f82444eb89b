"""Random numbers that depend on what they are for, never on when they were asked.

A uniform for sampling is a function of (seed, row, column); a generator for anything else is a
function of (seed, purpose, indices). Nothing is drawn from a shared stream, so a row
is the same whatever chunk it was drawn in, and a training run can go on at step 1000 without
replaying the first 999. This module knows nothing of models.
"""

from __future__ import annotations

import numpy as np

from made.errors import OptionError

# The streams that a seed is split into. The numbers are part of what makes a seed reproducible:
# they may be added to, never changed.
ORDERINGS = 1
HIDDEN_DEGREES = 2
MEMBERS = 3
INITIAL_WEIGHTS = 4
SHUFFLING = 5
DROPOUT = 6
HOLDOUT = 7
CELLS = 8
MEMBER_CHOICE = 9
EVIDENCE = 10
NORMALIZER = 11
CANDIDATES = 12
ACCEPTANCE = 13
ANNEALING = 14
COMPARISON = 15
FOLDS = 16
QUESTIONS = 17
PARTICLES = 18
HOLES = 19
TRIALS = 20
SUGGESTIONS = 21
NETWORKS = 22

_WORDS_PER_BLOCK = 4  # Philox 4x64 yields four 64-bit words for each value of its counter.
# From so many on, compiled code on all threads saves more than it takes to import.
_MANY = 2**18
_MAX_SEED = 2**63 - 1


def check_seed(seed: int) -> int:
    """Return ``seed`` as an int in 0..2**63-1, or raise `OptionError`."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise OptionError(f"seed must be a whole number, got {seed!r}.")
    if not 0 <= int(seed) <= _MAX_SEED:
        raise OptionError(f"seed must lie between 0 and 2**63 - 1, got {seed}.")
    return int(seed)


def check_n_rows(n_rows: int) -> int:
    """Return a number of rows to draw as an int of at least 0, or raise `OptionError`."""
    if isinstance(n_rows, bool) or not isinstance(n_rows, (int, np.integer)) or n_rows < 0:
        raise OptionError(f"The number of rows to draw must be at least 0, got {n_rows!r}.")
    return int(n_rows)


def generator(seed: int, purpose: int, *indices: int) -> np.random.Generator:
    """Return the generator that belongs to ``(seed, purpose, *indices)``.

    Examples
    --------
    >>> first = generator(0, ORDERINGS, 7).permutation(4)
    >>> again = generator(0, ORDERINGS, 7).permutation(4)
    >>> bool((first == again).all())
    True
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, purpose, indices)))


def derived_seed(seed: int, purpose: int, *indices: int) -> int:
    """Return a 63-bit seed for generators of other libraries (torch)."""
    words = _sequence(seed, purpose, indices).generate_state(1, np.uint64)
    return int(words[0]) & _MAX_SEED


def _sequence(seed: int, purpose: int, indices: tuple[int, ...]) -> np.random.SeedSequence:
    # As a spawn key: in one list, seeds beyond 32 bits would run into the purpose, and an index
    # of 0 at the end would be as good as none.
    return np.random.SeedSequence(seed, spawn_key=(purpose, *indices))


def uniforms(
    seed: int, first_row: int, n_rows: int, n_columns: int, purpose: int = CELLS
) -> np.ndarray:
    """Return uniforms in [0, 1) keyed by (seed, row, column), shape ``(n_rows, n_columns)``.

    Row ``r`` owns a run of counter values of a Philox 4x64-10 generator (Salmon et al., "Parallel
    random numbers: as easy as 1, 2, 3", 2011), so any range of rows can be drawn by itself.

    Examples
    --------
    >>> whole = uniforms(0, 0, 10, 5)
    >>> bool((uniforms(0, 4, 2, 5) == whole[4:6]).all())
    True
    """
    if n_rows * n_columns >= _MANY:
        return _many_uniforms(seed, first_row, n_rows, n_columns, purpose)
    blocks_per_row = -(-n_columns // _WORDS_PER_BLOCK)
    bits = np.random.Philox(key=np.array([seed, purpose], dtype=np.uint64))
    bits.advance(first_row * blocks_per_row)
    words = np.random.Generator(bits).random((n_rows, blocks_per_row * _WORDS_PER_BLOCK))
    return words[:, :n_columns]


def _many_uniforms(
    seed: int, first_row: int, n_rows: int, n_columns: int, purpose: int
) -> np.ndarray:
    from made.philox import fill_rows
    from made.threads import set_compiled_threads

    set_compiled_threads()
    result = np.empty((n_rows, n_columns))
    fill_rows((np.uint64(seed), np.uint64(purpose)), np.uint64(first_row), result)
    return result
