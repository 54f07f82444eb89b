"""One fitted column: its name, its kind, and what that kind needs to know.

Knows nothing of files, frames, networks or the other columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from made.errors import DataError

Kind = Literal["binary"]


@dataclass(frozen=True)
class Column:
    """A column of the table that a model was fitted to.

    Attributes
    ----------
    name : str
    kind : {"binary"}
        A binary column holds 0 and 1, or False and True.
    boolean : bool
        Whether values go out as booleans, since they came in as booleans.
    """

    name: str
    kind: Kind = "binary"
    boolean: bool = False

    @property
    def family(self) -> str:
        """Name of the conditional family, a key of ``made.conditionals.FAMILIES``."""
        return "bernoulli"

    @property
    def n_inputs(self) -> int:
        """Number of network inputs that encode one cell."""
        return 1

    @property
    def n_levels(self) -> int:
        """Number of values that a cell can have; 0 if they are not finitely many."""
        return 2

    @property
    def measure(self) -> tuple[str, str]:
        """What a density over the column is relative to: densities compare only if it agrees."""
        return self.name, self.kind

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "boolean": self.boolean}

    @classmethod
    def from_json(cls, content: object) -> Column:
        if not isinstance(content, dict) or set(content) != {"name", "kind", "boolean"}:
            raise DataError(f"A column has name, kind and boolean; got {content!r}.")
        if not isinstance(content["name"], str) or not isinstance(content["boolean"], bool):
            raise DataError(f"A column needs a text as name and a truth value; got {content!r}.")
        if content["kind"] != "binary":
            raise DataError(f"Column {content['name']!r} has the unknown kind {content['kind']!r}.")
        return cls(content["name"], "binary", content["boolean"])
