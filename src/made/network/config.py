"""The options of the network, checked. Free of torch, so that reading a model's header is fast."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_type_hints

from made.errors import OptionError
from made.orderings import HiddenDegrees, Spread

Activation = Literal["relu", "elu", "gelu", "tanh", "softplus"]
Normalization = Literal["none", "cumulative_rms"]
Initialization = Literal["scaled", "orthogonal"]

# Beyond these a network would not fit any machine that this library is for; a model file that
# claims more is refused before anything is allocated.
MAX_WIDTH = 1_000_000
MAX_DEPTH = 1_000


@dataclass(frozen=True)
class NetworkConfig:
    """What a masked autoencoder looks like.

    Parameters
    ----------
    hidden : tuple of int
        Number of units of each hidden layer.
    activation : {"relu", "elu", "gelu", "tanh", "softplus"}
    residual : bool
        Each hidden layer after the first adds to the one before it instead of replacing it; all
        layers then have one width and the same degrees.
    normalization : {"none", "cumulative_rms"}
        "cumulative_rms" divides a unit of degree m by the root mean square of the units of
        degree at most m, which, unlike LayerNorm, leaks nothing.
    direct_input : bool
        Direct connections from the inputs to the outputs.
    direct_hidden : bool
        Direct connections from every hidden layer to the outputs, not from the last alone.
    conditioning : bool
        Conditioning weights: a second masked matrix that multiplies a vector of ones, so that the
        network knows which of its inputs are cut (Germain et al. 2015, section 4.2). Only
        matrices whose mask can change have them.
    dropout : float
        Fraction of hidden units dropped while training.
    hidden_degrees : {"fixed", "redrawn"}
        Hidden degrees drawn once for life, or redrawn with every ordering.
    spread : {"random", "even"}
        Hidden degrees drawn at random, or each equally often.
    initialization : {"scaled", "orthogonal"}
    """

    hidden: tuple[int, ...] = (500, 500)
    activation: Activation = "relu"
    residual: bool = False
    normalization: Normalization = "none"
    direct_input: bool = True
    direct_hidden: bool = False
    conditioning: bool = True
    dropout: float = 0.0
    hidden_degrees: HiddenDegrees = "fixed"
    spread: Spread = "random"
    initialization: Initialization = "scaled"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", check_widths(self.hidden))
        object.__setattr__(self, "dropout", float(self.dropout))
        hints = get_type_hints(type(self))
        for option in fields(self):
            choices = get_args(hints[option.name])
            value = getattr(self, option.name)
            if option.name == "hidden":
                continue
            if hints[option.name] is bool and not isinstance(value, bool):
                raise OptionError(f"{option.name} must be True or False, got {value!r}.")
            if choices and value not in choices:
                raise OptionError(
                    f"{option.name} must be one of {', '.join(choices)}; got {value!r}."
                )
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout must lie in [0, 1), got {self.dropout}.")
        if self.residual and len(set(self.hidden)) > 1:
            raise OptionError(
                f"A residual network needs hidden layers of one width, got {list(self.hidden)}."
            )

    def to_json(self) -> dict[str, Any]:
        content = {option.name: getattr(self, option.name) for option in fields(self)}
        return content | {"hidden": list(self.hidden)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> NetworkConfig:
        known = {option.name for option in fields(cls)}
        if set(content) != known:
            raise OptionError(
                f"A network configuration has the options {sorted(known)}; got {sorted(content)}."
            )
        return cls(**content)


def check_widths(hidden: object) -> tuple[int, ...]:
    """Return the widths of the hidden layers as a tuple, or raise `OptionError`."""
    widths = (hidden,) if isinstance(hidden, int) else hidden
    if not isinstance(widths, (tuple, list)) or len(widths) > MAX_DEPTH:
        raise OptionError(
            f"hidden must list the widths of the layers, like [500, 500]; got {hidden!r}."
        )
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= MAX_WIDTH:
            raise OptionError(
                f"Every hidden layer needs between 1 and {MAX_WIDTH} units, got {width!r}."
            )
    return tuple(widths)
