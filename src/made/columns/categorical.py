"""Columns of categories: levels, those that are rare, and what was never seen.

Knows counts in training rows; knows nothing of families, networks or frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from made.columns.column import Column, Level, check_fields, check_levels, shown
from made.errors import DataError

# Levels seen in fewer training rows than this share one class.
RARE_BELOW = 5
# More rows than this nobody has.
_MOST_ROWS = 2**53
# Up to so many classes, each has an input, and an output, of its own.
_MAX_SINGLE = 256


@dataclass(frozen=True)
class CategoricalColumn(Column):
    """A column of categories.

    The value of a cell is the place of its level in ``levels``, ``len(levels)`` for a level that
    was never seen, NaN if it is missing. A softmax decides between *classes*: each common level,
    one class that all rare levels share, and missing. Within the rare class, shares are fixed. A
    fixed mass, ``unseen_mass``, is kept for whatever was not seen in training:

        p(level) = (1 - unseen) p(class) share(level within class),   p(unseen) = unseen

    Attributes
    ----------
    levels : tuple of Level
    counts : tuple of int
        Training rows of each level.
    n_rows : int
        Training rows.
    rare_below : int
        Levels of a smaller count are rare.
    """

    levels: tuple[Level, ...] = ()
    counts: tuple[int, ...] = ()
    n_rows: int = 0
    rare_below: int = RARE_BELOW

    kind: ClassVar[str] = "categorical"

    @cached_property
    def is_rare(self) -> np.ndarray:
        """Which levels share the rare class, shape ``(n_levels,)``."""
        rare = np.array(self.counts, dtype=np.int64) < self.rare_below
        # One level alone has nobody to share with, and a few that are all rare decide as others.
        n_rare = int(rare.sum())
        is_class = 1 < n_rare < len(rare) or n_rare > _MAX_SINGLE
        return rare if is_class else np.zeros_like(rare)

    @cached_property
    def class_of(self) -> np.ndarray:
        """The class of each level, shape ``(n_levels,)``: common ones in order, then rare."""
        common = ~self.is_rare
        return np.where(common, np.cumsum(common) - 1, common.sum())

    @cached_property
    def n_classes(self) -> int:
        return int((~self.is_rare).sum()) + int(self.is_rare.any()) + int(self.missing)

    @property
    def is_embedded(self) -> bool:
        """Whether classes are so many that they are points in a space of few dimensions."""
        return self.n_classes > _MAX_SINGLE

    @property
    def missing_class(self) -> int:
        return self.n_classes - 1

    @cached_property
    def log_shares(self) -> np.ndarray:
        """log(1 - unseen) + log share within the class of each level, shape ``(n_levels,)``."""
        weights = np.where(self.is_rare, np.array(self.counts, dtype=np.float64) + 0.5, 1.0)
        total = np.where(self.is_rare, weights[self.is_rare].sum(), 1.0)
        return np.log(weights / total) + np.log1p(-self.unseen_mass)

    @cached_property
    def unseen_mass(self) -> float:
        """The probability that is kept for levels that training rows do not have.

        (N_1 + 1) / (n + 2) with N_1 levels seen once in n rows (Good, "The population
        frequencies of species and the estimation of population parameters", 1953).
        """
        once = sum(count == 1 for count in self.counts)
        return (once + 1) / (self.n_rows + 2)

    @property
    def known_mass(self) -> float:
        return 1.0 - self.unseen_mass

    @property
    def n_codes(self) -> int:
        return 2

    @cached_property
    def _code_table(self) -> np.ndarray:
        """The codes of each level, of what was never seen, and of missing; (n_levels + 2, 2)."""
        table = np.empty((len(self.levels) + 2, 2))
        table[:-2, 0], table[:-2, 1] = self.class_of, self.log_shares
        table[-2] = -1, np.log(self.unseen_mass)
        table[-1] = self.missing_class, np.log1p(-self.unseen_mass) if self.missing else -np.inf
        return table

    def codes(self, values: np.ndarray, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
        """Return the class (-1 if unseen) and what log-probability comes on top of its own."""
        last = len(self.levels) + 1
        places = np.where(np.isnan(values), last, values).astype(np.int64)
        return self._code_table[places].astype(dtype)

    @property
    def outcomes(self) -> np.ndarray:
        places = np.arange(len(self.levels) + 1, dtype=np.float64)
        return np.append(places, np.nan) if self.missing else places

    @property
    def measure(self) -> tuple[Any, ...]:
        return (self.name, self.kind, self.missing, self.levels)

    def to_json(self) -> dict[str, Any]:
        return self._described() | {
            "levels": list(self.levels),
            "counts": list(self.counts),
            "n_rows": self.n_rows,
            "rare_below": self.rare_below,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> CategoricalColumn:
        wanted = {"levels": list, "counts": list, "n_rows": int, "rare_below": int}
        fields = check_fields(content, wanted)
        name, counts = fields["name"], fields["counts"]
        levels = check_levels(name, fields["levels"])
        for option in ("n_rows", "rare_below"):
            if not 0 <= fields[option] <= _MOST_ROWS:
                raise DataError(
                    f"{option} of column {name!r} must be from 0 to 2^53; got "
                    f"{shown(fields[option])}."
                )
        good = all(type(count) is int and 0 <= count <= _MOST_ROWS for count in counts)
        if not good or len(counts) != len(levels) or sum(counts) > fields["n_rows"]:
            raise DataError(
                f"The counts of column {name!r} do not fit: expected one for each of its "
                f"{len(levels)} levels, none negative, {fields['n_rows']} rows in all or fewer."
            )
        if not levels and not fields["missing"]:
            raise DataError(f"Column {name!r} has no level, and its cells are not missing.")
        return cls(
            name, fields["dtype"], fields["missing"], levels, tuple(counts), fields["n_rows"],
            fields["rare_below"],
        )  # fmt: skip
