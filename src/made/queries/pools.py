"""Members combined by a power below 1: what a question about some columns needs of all others.

What M says of some columns is its sum over the rest. Where there are few rows in all, that is
enumerated; else rows are drawn from the mixture and counted by M / M_1, which is at most 1. Knows
beginnings and boxes; knows nothing of text.
"""

from __future__ import annotations

import numpy as np
import torch

from made.conditionals.region import Region
from made.ensemble import Beginnings
from made.queries.events import Box, Event, boxes_of, holds
from made.queries.masses import cells_of, finite_values

# Rows times members that are enumerated for one question.
_MOST_ROWS = 2**17


def pool_ratios(beginnings: Beginnings, values: np.ndarray) -> np.ndarray:
    """Return M(x) / M_1(x) of whole rows, at most 1, shape ``(n_rows,)``."""
    combination = beginnings.combination
    log_probs = beginnings.members.log_probs(torch.as_tensor(values), combination.support)
    return np.exp(combination.log_ratio(log_probs))


def pool_rows(beginnings: Beginnings, box: Box) -> tuple[np.ndarray, np.ndarray] | None:
    """Return all rows within a box and log M of each, or None if they are too many.

    A column whose values have no end can be within a box that leaves it one.
    """
    columns = beginnings.members.models[0].columns
    most = _MOST_ROWS // len(beginnings.combination.support)
    values, count = [], 1
    for place, column in enumerate(columns):
        region = box.get(place, Region.everything())
        is_one = len(region.intervals) == 1 and region.intervals[0].is_point
        of_column = (
            np.array([region.intervals[0].low])
            if is_one and not region.missing
            else finite_values(column, region, most)
        )
        count *= most + 1 if of_column is None else len(of_column)
        if of_column is None or count > most:
            return None
        values.append(of_column)
    rows = cells_of(values)
    combination = beginnings.combination
    log_probs = beginnings.members.log_probs(torch.as_tensor(rows), combination.support)
    return rows, combination.log_mean(log_probs)


def pool_masses(beginnings: Beginnings, event: Event, given: Event) -> tuple[float, float] | None:
    """Return the masses of an event and of the evidence, in one unit; None if not enumerable."""
    if beginnings.combination.is_mixture:
        return None
    # One box of evidence is enough to leave few rows; of several, all rows are looked at.
    boxes = boxes_of(given, 1)
    found = pool_rows(beginnings, boxes[0] if boxes else {})
    if found is None:
        return None
    rows, log_means = found
    if not len(rows):
        return 0.0, 0.0
    largest = log_means.max()
    weights = np.exp(log_means - largest) if np.isfinite(largest) else np.zeros(len(rows))
    return float(weights[holds(event, rows)].sum()), float(weights[holds(given, rows)].sum())
