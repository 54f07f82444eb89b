"""The normaliser of a combination: enumerated, or estimated with an interval that certifies it.

    Z = sum_x M(x) = E_{x ~ mixture}[ M(x) / M_1(x) ],   every term in [0, 1]

Knows members, combinations and draws; knows nothing of data or of how the weights came about.
Rows that tuned weights or a power must not certify them: callers give a seed of its own.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from made.certificate import Certificate
from made.ensemble.combination import Combination
from made.ensemble.confidence import ConfidenceSequence
from made.ensemble.draws import Annealing, draw_mixture
from made.ensemble.members import Members
from made.errors import OptionError
from made.progress import NoProgress, Progress
from made.uniforms import NORMALIZER, check_seed, derived_seed

Method = Literal["auto", "enumeration", "importance", "annealing"]
METHODS = ("auto", "enumeration", "importance", "annealing")

# Enumerated are tables of at most this many rows times members: some ten seconds; and of so many
# where time is limited.
_MAX_ENUMERATED, _MAX_ENUMERATED_SOON = 2**20, 2**18
_BATCH_ROWS = 4096
# Where the terms of the direct estimate vary more than this (variance over mean squared), chains
# are worth their stages.
_DIRECT_VARIATION = 30.0
_STAGES_PER_NAT = 3.0
_MAX_DRAWS = 2_000_000


@dataclass(frozen=True)
class Certification:
    """How a normaliser is to be certified.

    Parameters
    ----------
    width : float
        Draw until upper - lower limit of log Z is at most this, in nats.
    level : float
        Probability that the limits hold.
    seed : int
    max_seconds : float, optional
        Stop then, with whatever width was reached.
    max_draws : int
        The same for the number of draws; at most two million.
    method : {"auto", "enumeration", "importance", "annealing"}
        "auto" enumerates small tables, and anneals where Z is small.
    """

    width: float = 0.02
    level: float = 0.95
    seed: int = 0
    max_seconds: float | None = None
    max_draws: int = _MAX_DRAWS
    method: Method = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.width < math.inf:
            raise OptionError(f"The width of log Z must be above 0 nats, got {self.width}.")
        if not 0 < self.level < 1:
            raise OptionError(f"The level must lie between 0 and 1, for example 0.95; got "
                              f"{self.level}.")  # fmt: skip
        if not 1 <= self.max_draws <= _MAX_DRAWS:
            raise OptionError(
                f"max_draws must lie between 1 and {_MAX_DRAWS:,}, got {self.max_draws}."
            )
        if self.method not in METHODS:
            raise OptionError(f"method must be one of {', '.join(METHODS)}; got {self.method!r}.")
        check_seed(self.seed)


def certify(
    members: Members,
    combination: Combination,
    how: Certification,
    progress: Progress | None = None,
) -> Certificate:
    """Return a certificate of log Z for ``combination``.

    Raises
    ------
    OptionError
        If enumeration is asked for and the table of all rows is too large.
    """
    watch = progress or NoProgress()
    if combination.is_mixture:
        return Certificate("enumeration", 0.0, 0.0, 0.0, 1.0, 0, 0, 0.0, how.seed, how.width)
    n_rows = n_possible_rows(members)
    most = _MAX_ENUMERATED if how.max_seconds is None else _MAX_ENUMERATED_SOON
    small = n_rows is not None and n_rows * len(combination.support) <= most
    if how.method == "enumeration" and not small:
        raise OptionError(
            f"There are {'infinitely many' if n_rows is None else f'{n_rows:.3g}'} possible rows: "
            'too many to enumerate. Use method="auto".'
        )
    if how.method == "enumeration" or (how.method == "auto" and small):
        value = enumerate_log_normalizer(members, combination)
        return Certificate(
            "enumeration", value, value, value, 1.0, int(n_rows or 0), 0, 0.0, how.seed, how.width
        )
    seed = derived_seed(how.seed, NORMALIZER)
    if how.method == "annealing":
        return _anneal(members, combination, how, seed, watch)
    started = time.monotonic()
    sequence = ConfidenceSequence(how.level)
    draw = _importance(members, combination, seed)
    _collect(sequence, draw, how, started, watch, at_most=_BATCH_ROWS)
    variation = sequence.variance / max(sequence.mean, 1e-12) ** 2
    if how.method == "auto" and variation > _DIRECT_VARIATION:
        left = None if how.max_seconds is None else how.max_seconds - (time.monotonic() - started)
        return _anneal(members, combination, replace(how, max_seconds=left), seed, watch)
    _collect(sequence, draw, how, started, watch)
    return _certificate("importance", sequence, how, 0)


def n_possible_rows(members: Members) -> int | None:
    """Return the number of possible rows, or None if it is infinite."""
    outcomes = members.outcomes
    if any(of_column is None for of_column in outcomes):
        return None
    return math.prod(len(of_column) for of_column in outcomes if of_column is not None)


def enumerate_log_normalizer(members: Members, combination: Combination) -> float:
    """Return log sum_x M(x) over all rows, exact."""
    outcomes = members.outcomes
    rows = itertools.product(*(of_column for of_column in outcomes if of_column is not None))
    total = -np.inf
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        values = torch.tensor(batch, dtype=torch.float64)
        log_means = combination.log_mean(members.log_probs(values, combination.support))
        total = float(np.logaddexp(total, np.logaddexp.reduce(log_means)))
    # The sum of a combination is at most 1; above it by float32 rounding only.
    return min(total, 0.0)


Draw = Callable[[int, int], np.ndarray]


def _importance(members: Members, combination: Combination, seed: int) -> Draw:
    def draw(first_row: int, n_rows: int) -> np.ndarray:
        rows = draw_mixture(members, combination.weights, first_row, n_rows, seed)
        log_probs = members.log_probs(torch.as_tensor(rows), combination.support)
        return np.exp(combination.log_ratio(log_probs))

    return draw


def _anneal(
    members: Members, combination: Combination, how: Certification, seed: int, watch: Progress
) -> Certificate:
    started = time.monotonic()
    # The log-ratios of some draws say how far it is.
    rows = draw_mixture(members, combination.weights, 0, 256, derived_seed(seed, NORMALIZER))
    log_probs = members.log_probs(torch.as_tensor(rows), combination.support)
    distance = -float(np.median(combination.log_ratio(log_probs)))
    chains = Annealing(
        members, combination, n_stages=int(np.clip(_STAGES_PER_NAT * distance, 4, 64))
    )

    def draw(first_row: int, n_rows: int) -> np.ndarray:
        return np.exp(chains.run(first_row, n_rows, seed)[1])

    sequence = ConfidenceSequence(how.level)
    _collect(sequence, draw, how, started, watch)
    return _certificate("annealing", sequence, how, len(chains.stages))


def _collect(
    sequence: ConfidenceSequence,
    draw: Draw,
    how: Certification,
    started: float,
    watch: Progress,
    at_most: int = _MAX_DRAWS,
) -> None:
    """Draw batches until log Z is known as narrowly as asked, or the budget ends."""
    check_at = 0.0
    while sequence.n_terms < min(how.max_draws, at_most):
        late = how.max_seconds is not None and time.monotonic() - started >= how.max_seconds
        if late and sequence.n_terms:
            return
        planned = max(sequence.n_needed(how.width), sequence.n_terms + _BATCH_ROWS)
        n_rows = min(_BATCH_ROWS, how.max_draws - sequence.n_terms)
        sequence.add(draw(sequence.n_terms, n_rows), min(planned, how.max_draws))
        watch.update(
            min(sequence.n_terms, planned), planned, f"log Z from {sequence.n_terms:,} draws"
        )
        # Looking at the interval touches all terms: only where it may be narrow enough.
        if sequence.n_terms >= max(0.9 * sequence.n_needed(how.width), check_at):
            lower, upper = sequence.interval()
            if lower > 0 and math.log(upper / lower) <= how.width:
                return
            check_at = 1.05 * sequence.n_terms


def _certificate(
    method: Literal["importance", "annealing"],
    sequence: ConfidenceSequence,
    how: Certification,
    n_stages: int,
) -> Certificate:
    lower, upper = sequence.interval()
    smallest = np.finfo(float).tiny
    return Certificate(
        method=method,
        log_normalizer=math.log(max(sequence.mean, smallest)),
        # A lower limit of 0 has no finite logarithm, and JSON no infinity.
        lower=math.log(max(lower, smallest)),
        upper=math.log(max(upper, smallest)),
        level=how.level,
        n_draws=sequence.n_terms,
        n_stages=n_stages,
        log_range=0.0,
        seed=how.seed,
        width_asked=how.width,
    )
