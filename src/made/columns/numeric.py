"""Columns of numbers: the scale that models see, values that repeat, and bounds.

Knows a monotone transformation and its slope; knows nothing of families, networks or frames.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from made.columns.column import Column, check_fields, check_text, shown
from made.errors import DataError

# What a network sees of a score stops here.
LARGEST_SCORE = 8.0
# Scores stop here: a model gives what lies beyond less than e^-180. Finite, so that nothing that
# is computed of scores is infinite or NaN.
FARTHEST_SCORE = 1e4
# Knots stop here, so that no distance between two of them is infinite.
LARGEST_VALUE = 1e300
# A file that lists more than this is damaged; a network would grow with it without end.
_MAX_LISTED = 4096
_LISTS = ("knots", "scores", "bins", "atoms")
_UNITS = ("D", "h", "m", "s", "ms", "us", "ns")


@dataclass(frozen=True)
class NumericColumn(Column):
    """A column of numbers.

    A *score* z = T(x) is the number on a scale where training rows look about like a standard
    normal: T is piecewise linear and strictly increasing, through ``(knots[i], scores[i])``,
    straight beyond the ends, and stops at scores of 10,000.

    Attributes
    ----------
    knots, scores : tuple of float
        At least two, strictly increasing.
    bins : tuple of float
        Borders, on the scale of scores, of the pieces that the network sees a number in.
    atoms : tuple of float
        Values that repeat, in rising order; each has a mass of its own.
    low, high : float or None
        The least and the largest value that can be; None if there is no limit.
    """

    knots: tuple[float, ...] = (0.0, 1.0)
    scores: tuple[float, ...] = (0.0, 1.0)
    bins: tuple[float, ...] = ()
    atoms: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None

    # Whether values are whole numbers, each with a mass, instead of a density.
    discrete: ClassVar[bool] = False

    def transform(self, values: npt.ArrayLike) -> np.ndarray:
        """Return the scores T(x) of ``values``, float64; NaN stays NaN."""
        values = np.asarray(values, dtype=np.float64)
        # Infinities times a slope overflow on purpose: they are cut off at the end.
        with np.errstate(over="ignore"):
            piece = self._piece(values)
            scores = self._scores[piece] + (values - self._knots[piece]) * self._slopes[piece]
        return np.clip(scores, -FARTHEST_SCORE, FARTHEST_SCORE)

    def inverse(self, scores: npt.ArrayLike) -> np.ndarray:
        """Return the values x with T(x) = ``scores``, finite ones."""
        scores = np.asarray(scores, dtype=np.float64)
        piece = np.clip(np.searchsorted(self._scores, scores) - 1, 0, len(self._slopes) - 1)
        with np.errstate(over="ignore"):
            values = self._knots[piece] + (scores - self._scores[piece]) / self._slopes[piece]
        largest = np.finfo(np.float64).max
        return np.clip(values, -largest, largest)

    def log_slope(self, values: npt.ArrayLike) -> np.ndarray:
        """Return log T'(x)."""
        return self._log_slopes[self._piece(np.asarray(values, dtype=np.float64))]

    def log_width(self, values: np.ndarray) -> np.ndarray:
        """Return log(T(x + 1/2) - T(x - 1/2)): how much of the scale a whole number has.

        Where both are in one piece of T, that is its slope: of large numbers the difference
        would be lost in rounding.
        """
        left, right = values - 0.5, values + 0.5
        first, last = self._piece(left), self._piece(right)
        with np.errstate(over="ignore", invalid="ignore"):
            parts = (
                (self._knots[first + 1] - left) * self._slopes[first]
                + (self._scores[last] - self._scores[first + 1])
                + (right - self._knots[last]) * self._slopes[last]
            )
        one_piece = (first == last) | ~(parts > 0)
        return np.where(one_piece, self._log_slopes[first], np.log(np.where(one_piece, 1, parts)))

    def _piece(self, values: np.ndarray) -> np.ndarray:
        return np.clip(np.searchsorted(self._knots, values) - 1, 0, len(self._slopes) - 1)

    @cached_property
    def _knots(self) -> np.ndarray:
        return np.array(self.knots)

    @cached_property
    def _scores(self) -> np.ndarray:
        return np.array(self.scores)

    @cached_property
    def _slopes(self) -> np.ndarray:
        return np.diff(self._scores) / np.diff(self._knots)

    @cached_property
    def _log_slopes(self) -> np.ndarray:
        return np.log(np.diff(self._scores)) - np.log(np.diff(self._knots))

    @property
    def half_step(self) -> float:
        """How far a recorded value reaches to each side: half of 1 for whole numbers, else 0."""
        return 0.5 if self.discrete else 0.0

    @cached_property
    def score_limits(self) -> tuple[float, float]:
        """The scores between which all mass lies, finite: the farthest where there is no limit."""
        low = -np.inf if self.low is None else self.low - self.half_step
        high = np.inf if self.high is None else self.high + self.half_step
        return float(self.transform(low)), float(self.transform(high))

    @property
    def rest_state(self) -> int:
        """The state of a value that is no atom."""
        return len(self.atoms)

    @property
    def missing_state(self) -> int:
        return len(self.atoms) + 1

    @property
    def n_states(self) -> int:
        """Atoms, the rest, and missing if that can be."""
        return len(self.atoms) + 1 + int(self.missing)

    @property
    def n_codes(self) -> int:
        return 3

    def codes(self, values: np.ndarray, dtype: npt.DTypeLike = np.float32) -> np.ndarray:
        """Return state, score, and the logarithm of the slope, or of the width if discrete.

        The third is -inf for a value that cannot be: below ``low``, above ``high``, infinite, no
        whole number among those, or missing where that cannot be.
        """
        missing = np.isnan(values)
        impossible = np.isinf(values)
        filled = np.where(missing | impossible, self.knots[0], values)
        if self.low is not None:
            impossible |= values < self.low
        if self.high is not None:
            impossible |= values > self.high
        if self.discrete:
            impossible |= filled != np.rint(filled)
        if not self.missing:
            impossible |= missing
        state = np.full(len(values), self.rest_state)
        if self.atoms:
            place = np.searchsorted(self._atoms, values).clip(max=len(self.atoms) - 1)
            state = np.where(self._atoms[place] == values, place, state)
        measure = self.log_width(filled) if self.discrete else self.log_slope(filled)
        result = np.empty((len(values), 3), dtype=dtype)
        result[:, 0] = np.where(missing & self.missing, self.missing_state, state)
        result[:, 1] = np.where(missing, 0.0, self.transform(values))
        result[:, 2] = np.where(impossible, -np.inf, np.where(missing, 0.0, measure))
        if self.discrete:
            # The middle between the borders, which is not the score itself where T has a knot.
            middle = (self.transform(filled - 0.5) + self.transform(filled + 0.5)) / 2
            result[:, 1] = np.where(missing | np.isinf(values), result[:, 1], middle)
        return result

    @cached_property
    def _atoms(self) -> np.ndarray:
        return np.array(self.atoms)

    @property
    def outcomes(self) -> np.ndarray | None:
        return None

    @property
    def measure(self) -> tuple[Any, ...]:
        # Atoms change what a density is relative to; whole numbers have masses with or without.
        atoms = () if self.discrete else self.atoms
        return (self.name, self.kind, self.missing, atoms)

    def to_json(self) -> dict[str, Any]:
        content = {item.name: getattr(self, item.name) for item in fields(self)}
        listed = {name: list(content[name]) for name in _LISTS}
        return {"kind": self.kind} | content | listed

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> NumericColumn:
        own = [item.name for item in fields(cls) if item.name not in ("name", "dtype", "missing")]
        wanted = {name: list if name in _LISTS else object for name in own}
        given = check_fields(content, wanted)
        values: dict[str, Any] = {key: value for key, value in given.items() if key != "kind"}
        for option in ("low", "high"):
            if given[option] is not None:
                values[option] = _number(given, option, given[option])
        for option in _LISTS:
            values[option] = _rising(given, option)
        column = cls(**values)
        column._check()
        return column

    def _check(self) -> None:
        """Raise `DataError` if the parts do not fit each other."""
        where = f"of column {self.name!r}"
        if len(self.knots) < 2 or len(self.knots) != len(self.scores):
            raise DataError(
                f"The knots {where} are {len(self.knots)} and its scores {len(self.scores)}; "
                "expected as many of both, two or more."
            )
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            slopes = self._slopes
        if not (np.isfinite(slopes) & (slopes > 0)).all():
            raise DataError(f"The scale {where} has a slope that is not positive and finite.")
        if max(map(abs, self.scores)) > FARTHEST_SCORE:
            raise DataError(f"The scores {where} lie beyond {FARTHEST_SCORE:g}.")
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        if low > high or self.score_limits[0] >= self.score_limits[1]:
            raise DataError(
                f"Nothing lies between low {self.low!r} and high {self.high!r} {where}. Expected "
                "a low below high, not far from its knots; for one value alone leave them out."
            )
        if self.atoms and not low <= self.atoms[0] <= self.atoms[-1] <= high:
            raise DataError(f"Atoms {where} lie outside {self.low!r} to {self.high!r}.")
        listed = (*self.atoms, *(end for end in (self.low, self.high) if end is not None))
        if self.discrete and not all(value.is_integer() for value in listed):
            raise DataError(f"Atoms and limits {where} must be whole numbers.")


def _number(content: dict[str, Any], option: str, value: object) -> float:
    """Return a number of a model file as a finite float."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = np.inf
        if np.isfinite(number):
            return number
    raise DataError(
        f"{option} of column {content['name']!r} must be finite numbers; got {shown(value)}."
    )


def _rising(content: dict[str, Any], option: str) -> tuple[float, ...]:
    """Return a list of a model file as finite floats, each above the one before."""
    name, listed = content["name"], content[option]
    if len(listed) > _MAX_LISTED:
        raise DataError(
            f"{option} of column {name!r} are {len(listed)}; expected at most {_MAX_LISTED}."
        )
    numbers = tuple(_number(content, option, value) for value in listed)
    for left, right in pairwise(numbers):
        if not left < right:
            raise DataError(f"{option} of column {name!r} do not rise: {left!r}, then {right!r}.")
    return numbers


@dataclass(frozen=True)
class IntegerColumn(NumericColumn):
    """Whole numbers, each with a mass: counts, ages, ordered categories."""

    kind: ClassVar[str] = "integer"
    discrete: ClassVar[bool] = True


@dataclass(frozen=True)
class ContinuousColumn(NumericColumn):
    """Real numbers: a density, and masses at values that repeat."""

    kind: ClassVar[str] = "continuous"


@dataclass(frozen=True)
class DatetimeColumn(IntegerColumn):
    """Dates or times, counted in whole units since 1970-01-01.

    Attributes
    ----------
    unit : str
        "D", "h", "m", "s", "ms", "us" or "ns": the coarsest that loses nothing.
    format : str
        How dates stood in a text column, empty where the column had dates.
    """

    unit: str = "s"
    format: str = ""

    kind: ClassVar[str] = "datetime"

    @property
    def measure(self) -> tuple[Any, ...]:
        return (*super().measure, self.unit)

    def _check(self) -> None:
        super()._check()
        if not isinstance(self.unit, str) or self.unit not in _UNITS:
            raise DataError(
                f"The unit of column {self.name!r} is {shown(self.unit)}; expected one of "
                f"{', '.join(_UNITS)}."
            )
        check_text(f"The format of column {self.name!r}", self.format)
