"""The demo job on a mixed table: which of the Palmer penguins are odd, and in which cell?

Knows the public face of the library and nothing below it, as a user would.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from made.density import fit


@dataclass(frozen=True)
class OddPenguin:
    """A row that is unlikely, and the cell to blame.

    ``log_prob`` is of the row. ``column`` is the cell that is furthest below what is usual in its
    column, by ``shortfall``: nats less than the column's median.
    """

    row: int
    cells: dict[str, str]
    log_prob: float
    column: str
    value: str
    shortfall: float


@dataclass(frozen=True)
class PenguinsResult:
    """The least likely penguins, and how likely they all are in the mean."""

    n_rows: int
    n_missing: int
    mean_log_prob: float
    validation_log_prob: float
    odd: list[OddPenguin]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def penguins(
    *, max_time: str | float = "30s", seed: int = 0, n_shown: int = 5, progress: bool = True
) -> PenguinsResult:
    """Fit the penguins, 344 rows of texts and numbers with missing cells; find the odd ones."""
    with as_file(files("made") / "data" / "penguins.csv") as path:
        density = fit(path, max_time=max_time, seed=seed, combine="mixture", progress=progress)
        log_probs = density.log_prob(path)
        terms = density.log_conditionals(path)
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    cells = np.column_stack([np.asarray(terms[name]) for name in density.columns])
    shortfalls = np.median(cells, axis=0) - cells
    odd = []
    for row in np.argsort(log_probs, kind="stable")[:n_shown].tolist():
        worst = density.columns[int(shortfalls[row].argmax())]
        odd.append(
            OddPenguin(
                row=row,
                cells=rows[row],
                log_prob=float(log_probs[row]),
                column=worst,
                value=rows[row][worst],
                shortfall=float(shortfalls[row].max()),
            )
        )
    return PenguinsResult(
        n_rows=len(rows),
        n_missing=sum(value == "NA" for row in rows for value in row.values()),
        mean_log_prob=float(log_probs.mean()),
        validation_log_prob=density.record.validation_log_prob,
        odd=odd,
    )
