"""Which suites there are, which sets each holds, and what is published about them.

Shapes and hashes of the sets, and the published figures, are the JSON files beside this module.
Knows nothing of where data lies, and nothing of models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from made.errors import OptionError, did_you_mean

SPLITS = ("train", "valid", "test")
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Split:
    """How many rows a split has, and the hash of its sorted contents."""

    rows: int
    sha256: str


@dataclass(frozen=True)
class BenchmarkSet:
    """A set of binary rows in three splits.

    ``together`` is of the training and validation rows taken together, for a set whose published
    border between the two is not known.
    """

    name: str
    columns: int
    splits: dict[str, Split]
    together: Split | None = None


@dataclass(frozen=True)
class Suite:
    """Sets that are published together; ``folder`` is where their .npz files lie in the data.

    ``recipe`` and ``budget`` are what a run takes unless it is told otherwise.
    """

    name: str
    folder: str
    recipe: str
    budget: str
    sets: dict[str, BenchmarkSet]


def find_suite(name: str) -> Suite:
    """Return a suite, or raise `OptionError` that lists them."""
    if name not in SUITES:
        raise OptionError(
            f"There is no suite {name!r}.{did_you_mean(name, SUITES)} "
            f"There are: {', '.join(SUITES)}; and made benchmark table shows results."
        )
    return SUITES[name]


def find_sets(suite: Suite, names: Sequence[str] = ()) -> list[BenchmarkSet]:
    """Return the named sets of a suite, each once, or all; raise `OptionError` if one is not there.

    Examples
    --------
    >>> [one.name for one in find_sets(find_suite("made"), ["dna", "web", "dna"])]
    ['dna', 'web']
    """
    for name in names:
        if name not in suite.sets:
            raise OptionError(
                f"The suite {suite.name!r} has no set {name!r}.{did_you_mean(name, suite.sets)} "
                f"It has: {', '.join(suite.sets)}."
            )
    return [suite.sets[name] for name in dict.fromkeys(names or suite.sets)]


@cache
def published() -> dict[str, Any]:
    """Return the published figures, by suite."""
    return json.loads((_HERE / "published.json").read_text())


def _sets(suite: str) -> dict[str, BenchmarkSet]:
    known: dict[str, Any] = json.loads((_HERE / "sets.json").read_text())[suite]
    return {
        name: BenchmarkSet(
            name,
            facts["columns"],
            {split: Split(**facts[split]) for split in SPLITS},
            Split(**facts["train+valid"]) if "train+valid" in facts else None,
        )
        for name, facts in known.items()
    }


SUITES = {
    "made": Suite("made", "made", "search", "30m", _sets("made")),
    "debd": Suite("debd", "debd20", "search", "20m", _sets("debd")),
    "mnist": Suite("mnist", "images", "default", "3h", _sets("mnist")),
}
