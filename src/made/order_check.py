"""What it costs to put evidence first, as it was measured on validation rows.

Knows numbers alone: model files and the command line read it without torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from made.errors import ModelFileError


@dataclass(frozen=True)
class OrderCheck:
    """What other orderings cost; means over random sets of evidence, in nats.

    Attributes
    ----------
    loss : float
        What log p of a whole row loses when the evidence comes first.
    disagreement : float
        How far it moves: root mean square.
    orderings, particles : float or None
        log p of a cell given evidence, by evidence-first orderings, and by weighted draws under the
        orderings of training; None where there is no fixed list of these.
    n_rows : int
        Validation rows that were used.
    """

    loss: float
    disagreement: float
    orderings: float | None
    particles: float | None
    n_rows: int

    @property
    def better(self) -> Literal["orderings", "particles"]:
        """The way of answering that scored more."""
        if self.orderings is None or self.particles is None:
            return "orderings"
        return "particles" if self.particles > self.orderings else "orderings"

    @classmethod
    def from_json(cls, content: object) -> OrderCheck:
        """Return the check that `dataclasses.asdict` wrote, its types checked."""
        names = {item.name for item in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            raise ModelFileError("the check of orderings does not hold its facts.")
        if type(content["n_rows"]) is not int or content["n_rows"] < 1:
            raise ModelFileError("the check of orderings has no number of rows.")
        for name in names - {"n_rows"}:
            value = content[name]
            optional = name in ("orderings", "particles")
            if not (optional and value is None) and (
                type(value) not in (int, float) or not math.isfinite(value)
            ):
                raise ModelFileError(f"the check of orderings has no good {name!r}.")
        return cls(**content)
