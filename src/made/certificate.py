"""What is known of the normaliser of a density: a value, limits, and how they were found.

Knows numbers alone: model files and the command line read it without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from made.errors import ModelFileError

METHODS = ("enumeration", "importance", "annealing")


@dataclass(frozen=True)
class Certificate:
    """What is known of log Z.

    Attributes
    ----------
    method : {"enumeration", "importance", "annealing"}
    log_normalizer : float
        The exact value for "enumeration"; else the log of an unbiased estimate of Z.
    lower, upper : float
        Limits of log Z; both the value itself where it is exact.
    level : float
        Probability that the limits hold, whenever the draws were stopped; 1 where exact.
    n_draws : int
        Rows that were drawn, or enumerated.
    n_stages : int
        Stages of a chain; 0 for other methods.
    log_range : float
        Log of the bound on a term; 0, since the draws come from the combination's own weights.
    seed : int
    width_asked : float
        How narrow ``upper - lower`` was asked to be.
    """

    method: Literal["enumeration", "importance", "annealing"]
    log_normalizer: float
    lower: float
    upper: float
    level: float
    n_draws: int
    n_stages: int
    log_range: float
    seed: int
    width_asked: float

    @property
    def is_exact(self) -> bool:
        return self.method == "enumeration"

    @property
    def width(self) -> float:
        return self.upper - self.lower

    @property
    def is_narrow_enough(self) -> bool:
        return self.width <= self.width_asked

    @classmethod
    def from_json(cls, content: object) -> Certificate:
        """Return the certificate that `dataclasses.asdict` wrote, its types checked."""
        names = {item.name for item in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            raise ModelFileError("the certificate does not hold the facts of a certificate.")
        values: dict[str, Any] = dict(content)
        for name in ("n_draws", "n_stages", "seed"):
            if type(values[name]) is not int or values[name] < 0:
                raise ModelFileError(f"the certificate has no good {name!r}.")
        for name in names - {"n_draws", "n_stages", "seed", "method"}:
            if type(values[name]) not in (int, float):
                raise ModelFileError(f"the certificate has no good {name!r}.")
        read = cls(**values)
        good = (
            read.method in METHODS
            and read.lower <= read.log_normalizer <= read.upper <= 1e-9
            # An exact value has no width and no doubt; an estimate always has doubt.
            and (read.width == 0 and read.level == 1 if read.is_exact else 0 < read.level < 1)
            and read.log_range >= 0
            and read.width_asked > 0
        )
        if not good:
            raise ModelFileError("the certificate contradicts itself.")
        return read
