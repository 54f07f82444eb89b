"""Keyed draws from the mixture of a combination's weights, and annealing towards its power.

Every row has a number and depends on the seed and that number alone. Knows members and
combinations; knows nothing of normalisers, intervals or tables.
"""

from __future__ import annotations

import numpy as np
import torch

from made.ensemble.combination import Combination
from made.ensemble.members import Members
from made.uniforms import ACCEPTANCE, ANNEALING, MEMBER_CHOICE, derived_seed, uniforms


def draw_mixture(
    members: Members, weights: np.ndarray, first_row: int, n_rows: int, seed: int
) -> np.ndarray:
    """Draw rows ``first_row .. first_row + n_rows - 1`` of the mixture's endless table of ``seed``.

    Returns shape ``(n_rows, n_columns)``.
    """
    choice = uniforms(seed, first_row, n_rows, 1, MEMBER_CHOICE)[:, 0]
    cells = uniforms(seed, first_row, n_rows, members.n_columns)
    return members.draw(choose(weights, choice), cells)


def draw_mixture_rows(
    members: Members, weights: np.ndarray, rows: np.ndarray, seed: int
) -> np.ndarray:
    """Draw the rows of the given ascending numbers, as `draw_mixture` draws them."""
    choice = uniforms_of(rows, seed, 1, MEMBER_CHOICE)[:, 0]
    cells = uniforms_of(rows, seed, members.n_columns)
    return members.draw(choose(weights, choice), cells)


def acceptance_uniforms(rows: np.ndarray, seed: int) -> np.ndarray:
    """Return a uniform for each row that decides whether a candidate is taken."""
    return uniforms_of(rows, seed, 1, ACCEPTANCE)[:, 0]


def choose(weights: np.ndarray, choice: np.ndarray) -> np.ndarray:
    """Return the member that each uniform picks."""
    # The last bound is 1 whatever the rounding, so that every uniform finds a member; one of
    # weight 0 at the end must not be it.
    support = np.flatnonzero(weights > 0)
    bounds = np.cumsum(weights[support])[:-1]
    return support[np.searchsorted(bounds, choice, side="right")]


def uniforms_of(rows: np.ndarray, seed: int, n_columns: int, *purpose: int) -> np.ndarray:
    """Return the uniforms of ascending row numbers, run by run."""
    result = np.empty((len(rows), n_columns))
    if not len(rows):
        return result
    # Where few rows are left out, it is cheaper to draw them too.
    span = int(rows[-1] - rows[0]) + 1
    if span <= 8 * len(rows):
        return uniforms(seed, int(rows[0]), span, n_columns, *purpose)[rows - rows[0]]
    for place, row in enumerate(rows.tolist()):
        result[place] = uniforms(seed, row, 1, n_columns, *purpose)
    return result


class Annealing:
    """Chains from the mixture to a combination, by way of the powers between.

    A chain starts at an exact draw from the mixture (power 1). At every stage its weight is
    multiplied by M_next / M_now at the row where it is, which is at most 1, and the row moves:
    one member redraws the end of its ordering, and the move is accepted so that the combination
    of the stage stays invariant (Metropolis and Hastings). The weights are unbiased for the
    normaliser however badly the rows mix (Neal, "Annealed importance sampling", 2001).

    Parameters
    ----------
    members : Members
    combination : Combination
    n_stages : int
        Powers on the way, the last one included.
    """

    def __init__(self, members: Members, combination: Combination, n_stages: int) -> None:
        self.members = members
        self.combination = combination
        self.stages = [combination.between((t + 1) / n_stages) for t in range(n_stages)]

    def run(self, first_row: int, n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the last rows, (n_rows, n_columns), and log-weights, each at most 0."""
        members, support = self.members, self.combination.support
        weights = self.combination.weights
        values = draw_mixture(members, weights, first_row, n_rows, derived_seed(seed, ANNEALING))
        log_probs = members.log_probs(torch.as_tensor(values), support)
        log_weights = np.zeros(n_rows)
        before = self.combination.mixture().log_mean(log_probs)
        for number, stage in enumerate(self.stages):
            now = stage.log_mean(log_probs)
            log_weights += np.minimum(now - before, 0.0)
            key = derived_seed(seed, ANNEALING, number + 1)
            values, log_probs = self._move(stage, values, log_probs, now, first_row, key)
            if number + 1 < len(self.stages):
                before = stage.log_mean(log_probs)
        return values, log_weights

    def _move(
        self,
        stage: Combination,
        values: np.ndarray,
        log_probs: np.ndarray,
        log_mean: np.ndarray,
        first_row: int,
        seed: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Redraw the end of each row under one member; keep the old row where it is refused."""
        n_rows, n_columns = values.shape
        support = self.combination.support
        chosen = choose(
            self.combination.weights, uniforms(seed, first_row, n_rows, 1, MEMBER_CHOICE)[:, 0]
        )
        # One border for all rows of a stage: those of one member then share its products.
        n_kept = int(n_columns * uniforms(seed, 0, 1, 1, ANNEALING)[0, 0])
        cells = uniforms(seed, first_row, n_rows, n_columns)
        proposed = self.members.redraw(values, chosen, n_kept, cells)
        proposed_log_probs = self.members.log_probs(torch.as_tensor(proposed), support)
        # Old and new row share their first columns, so those cancel in the ratio of proposals.
        place = np.searchsorted(support, chosen)
        each = np.arange(n_rows)
        log_acceptance = (
            stage.log_mean(proposed_log_probs)
            - log_mean
            + log_probs[each, place]
            - proposed_log_probs[each, place]
        )
        taken = np.log(_open(acceptance_uniforms(first_row + each, seed))) < log_acceptance
        return (
            np.where(taken[:, None], proposed, values),
            np.where(taken[:, None], proposed_log_probs, log_probs),
        )


def _open(drawn: np.ndarray) -> np.ndarray:
    """Return uniforms in (0, 1]: their logarithm is finite."""
    return 1.0 - drawn
