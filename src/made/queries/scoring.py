"""Log-probabilities of whole rows given some of their columns, and how much orderings disagree.

Knows ensembles and values; knows nothing of tables.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from made.ensemble import Certification, Ensemble, given
from made.ensemble.normalizer import n_possible_rows
from made.errors import OptionError
from made.progress import Progress


def log_prob_given(
    ensemble: Ensemble, values: Tensor, columns: Sequence[int], progress: Progress | None = None
) -> np.ndarray:
    """Return log p(rest | columns) of each row, in nats, shape ``(n_rows,)``.

    log p(x) - log p(x_E), both of the members with the columns E first: exact.

    Raises
    ------
    OptionError
        Below power 1, where the rest has more outcomes than can be enumerated.
    """
    if ensemble.combination.is_mixture:
        first = ensemble.first(columns)
        support = ensemble.combination.support
        joint = ensemble.combination.log_mean(first.members.log_probs(values, support, progress))
        marginal = first.log_prob(values.to(torch.float64))
        # Where the evidence is impossible, so is the row.
        with np.errstate(invalid="ignore"):
            return np.where(np.isneginf(joint), -np.inf, joint - marginal)
    rows = values.to(torch.float64).numpy()
    evidence, place = np.unique(rows[:, list(columns)], axis=0, return_inverse=True)
    result = np.empty(len(rows))
    for number, known in enumerate(evidence):
        conditional = given(ensemble, dict(zip(columns, known.tolist(), strict=True)))
        if n_possible_rows(conditional.members) is None:
            raise OptionError(
                f"What a {ensemble.combination.name} says of some columns given others needs a sum "
                "over all that they can be, and there is no end of it. Ask the mixture "
                '(ensemble="mixture").'
            )
        conditional.certify(Certification(method="enumeration"))
        own = np.flatnonzero(place.reshape(-1) == number)
        result[own] = conditional.log_prob(torch.as_tensor(rows[own]))
    return result


def order_disagreement(ensemble: Ensemble, values: Tensor, columns: Sequence[int]) -> float:
    """Return how far log p(x) moves when ``columns`` come first: root mean square, in nats a row.

    One network serves all orderings, and was trained to say the same of each; what it does not
    say alike is what answers to different questions can differ by.
    """
    mixture = Ensemble(ensemble.members, ensemble.combination.mixture())
    own = mixture.log_prob(values)
    first = mixture.first(columns)
    other = mixture.combination.log_mean(
        first.members.log_probs(values, mixture.combination.support)
    )
    possible = np.isfinite(own) & np.isfinite(other)
    return float(np.sqrt(np.mean(np.square(own[possible] - other[possible]))))
