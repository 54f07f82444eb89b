"""An ensemble given the values of some columns: the same pool, one level down.

With the evidence E first in every ordering, q_k(x) = q_k(E) q_k(x | E) is exact, and the
conditional of the combination is a combination of the q_k(x | E), with a normaliser of its own.
Knows ensembles; knows nothing of how evidence is written down.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from made.ensemble.combination import Combination
from made.ensemble.ensemble import Ensemble
from made.ensemble.fronts import Beginnings
from made.ensemble.members import Members
from made.errors import QuestionError
from made.progress import Progress


class GivenMembers(Members):
    """The conditionals q_k(x | E) of members whose orderings visit the evidence first.

    Parameters
    ----------
    members : Members
    known : mapping of int to float
        The value of each column of the evidence; NaN is missing.
    """

    def __init__(self, members: Members, known: Mapping[int, float]) -> None:
        first = members.with_first(known.keys())
        super().__init__(first.networks)
        self._caches = first._caches
        self.known = dict(known)
        row = members.models[0].any_row()
        for column, value in known.items():
            row[column] = value
        self._row = row
        # All beginnings, those of members without weight among them.
        n_members = len(members)
        beginnings = Beginnings(first, Combination.uniform(n_members), known.keys())
        self.evidence_log_probs = np.empty(n_members)
        of_groups = beginnings.log_probs(row[None])[0]
        for group, log_prob in zip(beginnings.groups, of_groups, strict=True):
            self.evidence_log_probs[group.members] = log_prob

    @property
    def outcomes(self) -> list[np.ndarray | None]:
        return [
            np.array([self.known[place]]) if place in self.known else of_column
            for place, of_column in enumerate(super().outcomes)
        ]

    def with_evidence(self, values: Tensor) -> Tensor:
        """Return the rows with the evidence put in."""
        filled = values.to(torch.float64).clone()
        places = list(self.known)
        filled[:, places] = self._row[places]
        return filled

    def log_probs(
        self, values: Tensor, which: np.ndarray | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """Return log q_k(x | E) in nats; the evidence stands in place of what ``values`` holds."""
        log_probs = super().log_probs(self.with_evidence(values), which, progress)
        own = self.evidence_log_probs if which is None else self.evidence_log_probs[which]
        return log_probs - own

    def draw(self, chosen: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        rows = self.empty(len(uniforms))
        rows[:] = self._row.numpy()
        return super().redraw(rows, chosen, len(self.known), uniforms)

    def redraw(
        self, values: np.ndarray, chosen: np.ndarray, n_kept: int, uniforms: np.ndarray
    ) -> np.ndarray:
        return super().redraw(values, chosen, max(n_kept, len(self.known)), uniforms)


def given(ensemble: Ensemble, known: Mapping[int, float]) -> Ensemble:
    """Return p(x | E) as an ensemble: exact for a mixture, else with a normaliser to certify.

    Raises
    ------
    QuestionError
        If no member gives the evidence any probability.
    """
    members = GivenMembers(ensemble.members, known)
    combination: Combination = ensemble.combination
    log_probs = members.evidence_log_probs[combination.support]
    # Where a geometric mean is zero, so is the product.
    decided = combination.log_mean(log_probs[None])[0]
    if not np.isfinite(decided):
        names = [ensemble.members.models[0].columns[column].name for column in known]
        raise QuestionError(
            "The evidence has probability zero under the model: these values of "
            f"{', '.join(names)} cannot occur together."
        )
    return Ensemble(members, combination.given(log_probs))
