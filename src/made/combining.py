"""Members, validation rows and a method -> a combination, its certificate, and the record of it.

Fits in after training, or at any time later: more members, models pooled, certificates checked
again. Knows what a model file holds; knows nothing of training or of the command line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from made.certificate import Certificate
from made.choosing import Choice, choose_combination
from made.ensemble import Certification, Combination, Ensemble, Members, certify
from made.errors import OptionError
from made.modelfile import CombinationRecord, Fitted
from made.orderings import Connectivity
from made.progress import Progress


def combine(
    members: Members,
    valid: np.ndarray,
    method: str = "auto",
    certification: Certification | None = None,
    width: float | None = None,
    progress: Progress | None = None,
) -> tuple[Choice, CombinationRecord]:
    """Choose a combination of ``members`` by the rows ``valid``; see `made.choosing`."""
    choice = choose_combination(
        members, torch.as_tensor(valid), method, certification, width, progress
    )
    lines = [asdict(line) for line in choice.candidates]
    for line in lines:
        del line["log_normalizer_upper"]
    record = CombinationRecord(
        method=method,
        n_validation_rows=len(valid),
        validation_log_prob=float(choice.scores.mean()),
        validation_standard_error=standard_error(choice.scores),
        mixture_log_prob=float(choice.mixture_scores.mean()),
        mixture_standard_error=standard_error(choice.mixture_scores),
        gap=choice.gap,
        candidates=lines,
    )
    return choice, record


def combine_again(
    fitted: Fitted,
    valid: np.ndarray,
    method: str = "auto",
    n_members: int | None = None,
    certification: Certification | None = None,
    width: float | None = None,
    progress: Progress | None = None,
) -> Fitted:
    """Combine the members of a model anew, or ``n_members`` of each of its networks.

    Raises
    ------
    OptionError
        If a network was trained on fewer orderings than are asked for.
    """
    members = fitted.ensemble.members
    if n_members is not None:
        members = Members(
            [
                (model, _members_of(fitted, number, n_members))
                for number, model in enumerate(members.models)
            ]
        )
    choice, record = combine(members, valid, method, certification, width, progress)
    return replace(fitted, ensemble=choice.ensemble, combined=record)


def _members_of(fitted: Fitted, number: int, n_members: int) -> list[Connectivity]:
    """Return the first members of a network, as they were drawn when it was fitted."""
    options = fitted.records[number].options
    n_orderings = options.get("n_orderings")
    if n_members < 1 or (n_orderings is not None and n_members > n_orderings):
        known = "any number" if n_orderings is None else f"1 to {n_orderings}"
        raise OptionError(
            f"This model can have {known} of members, since it was trained on "
            f"{n_orderings or 'all'} orderings; got {n_members}."
        )
    model = fitted.ensemble.members.models[number]
    return model.connectivity_source(options["seed"], n_orderings).members(n_members)


def pool(fitted: Sequence[Fitted]) -> Fitted:
    """Return one model of the members of all: the mixture of the models, equally weighted.

    Raises
    ------
    OptionError
        If there are fewer than two models, or their columns differ.
    """
    if len(fitted) < 2:
        raise OptionError(f"Pooling takes two models or more, got {len(fitted)}.")
    members = Members([network for one in fitted for network in one.ensemble.members.networks])
    weights = np.concatenate([one.ensemble.weights / len(fitted) for one in fitted])
    record = CombinationRecord(
        method="pool",
        n_validation_rows=0,
        validation_log_prob=None,
        validation_standard_error=None,
        mixture_log_prob=None,
        mixture_standard_error=None,
        gap=None,
        candidates=[],
    )
    records = tuple(record for one in fitted for record in one.records)
    ensemble = Ensemble(members, Combination(weights))
    return Fitted(fitted[0].schema, ensemble, records, record)


@dataclass(frozen=True)
class Verification:
    """A certificate, and a second one from other draws.

    ``stands`` is whether the two intervals overlap: both hold the true log Z unless one of them
    is among the few that miss.
    """

    stored: Certificate
    again: Certificate

    @property
    def stands(self) -> bool:
        rounding = 1e-6 if self.stored.is_exact else 0.0
        return (
            self.stored.lower - rounding <= self.again.upper
            and self.again.lower - rounding <= self.stored.upper
        )


def verify(fitted: Fitted, how: Certification, progress: Progress | None = None) -> Verification:
    """Certify the normaliser of a model once more, with the seed of ``how``.

    Raises
    ------
    OptionError
        If the seed is the one of the stored certificate: the draws would be the same.
    """
    stored = fitted.ensemble.certificate
    if not stored.is_exact and stored.seed == how.seed:
        raise OptionError(
            f"The certificate was drawn with seed {stored.seed}: another --seed draws other rows."
        )
    ensemble = fitted.ensemble
    again = certify(ensemble.members, ensemble.combination, how, progress)
    return Verification(stored, again)


def standard_error(scores: np.ndarray) -> float:
    """Return the standard error of the mean of ``scores``; 0 for a single one."""
    return float(scores.std(ddof=1) / len(scores) ** 0.5) if len(scores) > 1 else 0.0
