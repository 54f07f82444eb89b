"""The options of training, checked, and the time budget. Free of torch."""

from __future__ import annotations

import math
import re
import time
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from made.errors import OptionError

Optimizer = Literal["adamw", "adadelta"]
Schedule = Literal["decay", "constant"]
Precision = Literal["32-true", "bf16-mixed"]

_NUMBER = r"\d+(?:\.\d+)?"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class TrainingOptions:
    """How a model is trained. Two runs with equal options, data and seed are the same run.

    Parameters
    ----------
    seed : int
    n_orderings : int or None
        Number of orderings that training cycles through; None for a fresh one at every step.
    orderings_per_step : int
        Orderings whose mixture a minibatch is trained on. 1 trains members alone, E_x E_pi
        log q(x | pi); m trains toward their combination, E_x log mean_m q(x | pi_m), and a step
        costs m times as much.
    order_penalty : float
        Weight of the mean squared difference of log q(x) between orderings of one step, of which
        there must be two or more: members then agree better, and say less well what each could.
    members : int
        Number of connectivities that form the ensemble and score the validation rows.
    validation_members : int or None
        How many of them score the validation rows while training; None for all.
    batch_size : int
    optimizer : {"adamw", "adadelta"}
    learning_rate : float
    weight_decay : float
        Of weight matrices; biases do not decay.
    warm_up : int
        Steps over which the learning rate rises to its full value.
    schedule : {"decay", "constant"}
        "decay": when patience or 80% of the budget is used up, go back to the best weights and let
        the learning rate fall to zero. "constant": stop when patience is used up.
    clip_norm : float
        Longest gradient that is used as it is; 0 for no limit.
    average_decay : float
        Decay, a step, of the moving average of the weights that is validated and kept; 0 keeps
        the weights themselves.
    patience : int
        Look-ahead: epochs without improvement on the validation rows before training turns to its
        end.
    precision : {"32-true", "bf16-mixed"}
    """

    seed: int = 0
    n_orderings: int | None = None
    orderings_per_step: int = 1
    order_penalty: float = 0.0
    members: int = 16
    validation_members: int | None = None
    batch_size: int = 100
    optimizer: Optimizer = "adamw"
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up: int = 100
    schedule: Schedule = "decay"
    clip_norm: float = 5.0
    average_decay: float = 0.998
    patience: int = 30
    precision: Precision = "32-true"

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for name in ("optimizer", "schedule", "precision"):
            if getattr(self, name) not in get_args(hints[name]):
                raise OptionError(
                    f"{name} must be one of {', '.join(get_args(hints[name]))}; "
                    f"got {getattr(self, name)!r}."
                )
        for name in ("orderings_per_step", "members", "batch_size", "patience"):
            check_count(name, getattr(self, name))
        for name in ("n_orderings", "validation_members"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        for name, low, high in (
            ("learning_rate", 1e-12, 1e3),
            ("weight_decay", 0.0, 1e3),
            ("clip_norm", 0.0, math.inf),
            ("average_decay", 0.0, 1 - 1e-12),
            ("order_penalty", 0.0, 1e3),
        ):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not is_number or not low <= value <= high:
                raise OptionError(
                    f"{name} must be a number from {low:g} to {high:g}, got {value!r}."
                )
        check_count("warm_up", self.warm_up, lowest=0)
        if self.order_penalty and self.orderings_per_step < 2:
            raise OptionError(
                "order_penalty compares orderings within a step: it needs orderings_per_step of 2 "
                "or more."
            )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TrainingOptions:
        known = {option.name for option in fields(cls)}
        if set(content) != known:
            raise OptionError(f"Training options are {sorted(known)}; got {sorted(content)}.")
        return cls(**content)


def check_count(name: str, value: object, lowest: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``lowest``, or raise `OptionError`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise OptionError(f"{name} must be a whole number of at least {lowest}, got {value!r}.")
    return value


def parse_duration(text: str | float | int) -> float:
    """Return seconds from a number or a text such as "90s", "10m", "1h30m".

    Examples
    --------
    >>> parse_duration("10m"), parse_duration("1h30m"), parse_duration(2.5)
    (600.0, 5400.0, 2.5)
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        lower = str(text).strip().lower()
        # A number without a unit stands alone: "1 30" could mean anything.
        if not re.fullmatch(rf"{_NUMBER}|(?:{_NUMBER}\s*[smhd]\s*)+", lower):
            raise OptionError(
                f"A time is a number of seconds or a text like 90s, 10m, 1h30m; got {text!r}."
            )
        parts = re.findall(rf"({_NUMBER})\s*([smhd]?)", lower)
        seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise OptionError(f"A time must be at least 0 seconds, got {text!r}.")
    return seconds


class Budget:
    """The time that a whole command may take, counted from when this object was made.

    Parameters
    ----------
    max_seconds : float or None
        None for no limit.
    max_epochs : int or None
    used_seconds : float
        Time that an interrupted run has used before.
    """

    # Kept for writing the model after training ends.
    _RESERVE = 0.02

    def __init__(
        self, max_seconds: float | None, max_epochs: int | None, *, used_seconds: float = 0.0
    ) -> None:
        if max_epochs is not None:
            check_count("max_epochs", max_epochs, lowest=0)
        self.max_seconds = max_seconds
        self.max_epochs = max_epochs
        self.used_seconds = used_seconds
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds used, those of an interrupted run included."""
        return self.used_seconds + time.monotonic() - self._start

    def used(self, epoch: float, reserve_seconds: float = 0.0) -> float:
        """Return the used fraction of the budget, 0 to 1 (or more), after ``epoch`` epochs."""
        fractions = [0.0]
        if self.max_epochs is not None:
            fractions.append(epoch / self.max_epochs if self.max_epochs else 1.0)
        if self.max_seconds is not None:
            end = self.max_seconds * (1 - self._RESERVE) - reserve_seconds
            fractions.append(self.elapsed() / end if end > 0 else 1.0)
        return max(fractions)
