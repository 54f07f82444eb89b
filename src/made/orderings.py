"""Orderings of the columns, degrees of the hidden units, and where they are drawn from.

Knows permutations and degrees (design: Germain et al. 2015, sections 3 and 4); knows nothing of
masks, weights or data. Every connectivity is a function of a seed and an index, so a training
run can be replayed, or resumed at any step.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from made.errors import OptionError
from made.uniforms import HIDDEN_DEGREES, MEMBERS, ORDERINGS, generator

Spread = Literal["random", "even"]
HiddenDegrees = Literal["fixed", "redrawn"]


@dataclass(frozen=True)
class Connectivity:
    """An ordering of the columns plus the degrees of all hidden units; it determines all masks.

    Attributes
    ----------
    order : ndarray of int64, shape (n_columns,)
        ``order[t]`` is the column visited at step ``t``.
    hidden_degrees : tuple of ndarray of int64, shapes (n_units,)
        One array a hidden layer. A unit of degree ``m`` sees only the first ``m`` columns of
        the ordering.
    rank : ndarray of int64, shape (n_columns,)
        ``rank[d]`` is the step at which column ``d`` is visited.

    Examples
    --------
    >>> Connectivity(np.array([2, 0, 1]), ()).rank.tolist()
    [1, 2, 0]
    """

    order: np.ndarray
    hidden_degrees: tuple[np.ndarray, ...]
    rank: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        order = check_ordering(self.order)
        rank = ranks(order)
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "rank", rank)
        highest = max(len(order) - 1, 1)
        for layer, degrees in enumerate(self.hidden_degrees):
            if len(degrees) and (degrees.min() < 1 or degrees.max() > highest):
                raise OptionError(
                    f"Hidden degrees must lie in 1..{highest} for {len(order)} columns; layer "
                    f"{layer} has degrees from {degrees.min()} to {degrees.max()}."
                )

    @property
    def n_columns(self) -> int:
        return len(self.order)

    @property
    def column_degrees(self) -> np.ndarray:
        """Degrees of the columns, 1..n_columns: the step at which each is visited, plus one."""
        return self.rank + 1


def ranks(order: np.ndarray) -> np.ndarray:
    """Return the step at which each column is visited: the inverse of a permutation.

    Examples
    --------
    >>> ranks(np.array([2, 0, 1])).tolist()
    [1, 2, 0]
    """
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def with_first(connectivity: Connectivity, *tiers: Collection[int]) -> Connectivity:
    """Return the connectivity that visits the columns of the first tier first, then the next tier.

    Within a tier, and after the last, columns come in the order that they had.

    Examples
    --------
    >>> with_first(Connectivity(np.array([3, 0, 2, 1]), ()), [0, 1], [2]).order.tolist()
    [0, 1, 2, 3]
    """
    tier_of = np.full(len(connectivity.order), len(tiers))
    for number, columns in reversed(list(enumerate(tiers))):
        tier_of[list(columns)] = number
    order = connectivity.order[np.argsort(tier_of[connectivity.order], kind="stable")]
    return Connectivity(order, connectivity.hidden_degrees)


def check_ordering(ordering: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return ``ordering`` as an int64 permutation of 0..n-1, or raise `OptionError`."""
    order = np.asarray(ordering)
    if order.ndim != 1 or not len(order) or not np.issubdtype(order.dtype, np.integer):
        raise OptionError(
            f"An ordering is a list of column numbers, for example [2, 0, 1]; got {ordering!r}."
        )
    found = np.zeros(len(order), dtype=bool)
    if order.min() >= 0 and order.max() < len(order):
        found[order] = True
    if not found.all():
        raise OptionError(
            f"An ordering of {len(order)} columns must hold each of 0..{len(order) - 1} once; "
            f"got {order[:20].tolist()}{'...' if len(order) > 20 else ''}."
        )
    return order.astype(np.int64, copy=False)


def draw_hidden_degrees(
    random: np.random.Generator,
    n_columns: int,
    widths: Sequence[int],
    *,
    lowest: int = 1,
    spread: Spread = "random",
    shared: bool = False,
) -> tuple[np.ndarray, ...]:
    """Draw the degrees of all hidden units.

    Units of the first layer get degrees in ``lowest..n_columns-1``; a later layer starts at the
    smallest degree of the layer before it, so that no unit is cut off from every input
    (Germain et al. 2015, section 4.2).

    Parameters
    ----------
    random : numpy.random.Generator
    n_columns : int
    widths : sequence of int
        Number of units of each hidden layer.
    lowest : int
        The smallest degree: the number of evidence columns, or 1.
    spread : {"random", "even"}
        Independent draws, or each degree equally often (up to one), in random positions.
    shared : bool
        All layers get the same degrees, as residual networks need.

    Examples
    --------
    >>> draw_hidden_degrees(np.random.default_rng(0), 5, [4, 8], spread="even")[0].tolist()
    [3, 1, 2, 4]
    """
    highest = max(n_columns - 1, 1)
    low = min(max(lowest, 1), highest)
    layers: list[np.ndarray] = []
    for width in widths:
        if shared and layers:
            layers.append(layers[0])
            continue
        if spread == "even":
            degrees = low + (np.arange(width) * (highest - low + 1)) // width
            degrees = random.permutation(degrees)
        else:
            degrees = random.integers(low, highest + 1, size=width)
        layers.append(degrees.astype(np.int64))
        low = int(degrees.min())
    return tuple(layers)


@dataclass(frozen=True)
class ConnectivitySource:
    """Where connectivities come from: a seed, and rules.

    Parameters
    ----------
    n_columns : int
    widths : tuple of int
        Number of units of each hidden layer.
    seed : int
    n_orderings : int or None
        Training cycles through this many orderings; None draws a fresh one every time.
    hidden_degrees : {"fixed", "redrawn"}
        Drawn once for life, or redrawn together with the ordering ("connectivity-agnostic").
        Fixed degrees are sorted: units are exchangeable, and sorted ones are faster to mask.
    spread : {"random", "even"}
    shared : bool
        All layers have the same degrees (residual networks).

    Examples
    --------
    >>> source = ConnectivitySource(n_columns=4, widths=(6,), seed=0, n_orderings=2)
    >>> bool((source.training(0).order == source.training(2).order).all())
    True
    """

    n_columns: int
    widths: tuple[int, ...]
    seed: int
    n_orderings: int | None = None
    hidden_degrees: HiddenDegrees = "fixed"
    spread: Spread = "random"
    shared: bool = False

    def training(self, step: int) -> Connectivity:
        """Return the connectivity of training step ``step``."""
        index = step if self.n_orderings is None else step % self.n_orderings
        return self._connectivity(ORDERINGS, index)

    def members(self, n_members: int) -> list[Connectivity]:
        """Return the connectivities that form the ensemble.

        A model trained on a fixed list is an ensemble over (the first ``n_members`` of) that
        list; one trained on fresh orderings gets orderings of its own.
        """
        if self.n_orderings is not None:
            return [self.training(index) for index in range(min(n_members, self.n_orderings))]
        return [self._connectivity(MEMBERS, index) for index in range(n_members)]

    def _connectivity(self, purpose: int, index: int) -> Connectivity:
        random = generator(self.seed, purpose, index)
        order = random.permutation(self.n_columns)
        if self.hidden_degrees == "fixed":
            return Connectivity(order, self._fixed_degrees)
        return Connectivity(order, self._draw(random, 1))

    @cached_property
    def _fixed_degrees(self) -> tuple[np.ndarray, ...]:
        drawn = self._draw(generator(self.seed, HIDDEN_DEGREES), 1)
        return tuple(np.sort(degrees) for degrees in drawn)

    def _draw(self, random: np.random.Generator, lowest: int) -> tuple[np.ndarray, ...]:
        return draw_hidden_degrees(
            random,
            self.n_columns,
            self.widths,
            lowest=lowest,
            spread=self.spread,
            shared=self.shared,
        )
