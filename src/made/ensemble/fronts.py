"""A mixture as far as its first columns: members that begin alike are one.

What is asked of a few columns needs nothing that comes after them, and two members whose orderings
begin with the same columns say the same of these. Knows members and weights; knows nothing of
what is asked.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from made.ensemble.combination import Combination, power_mean
from made.ensemble.members import Members
from made.model import Model
from made.ordered import Front
from made.orderings import Connectivity


@dataclass
class Beginning:
    """Members that begin alike, as far as the first ``n_columns`` of their orderings.

    Attributes
    ----------
    weight : float
        The sum of their weights.
    members : list of int
    """

    model: Model
    connectivity: Connectivity
    n_columns: int
    weight: float
    members: list[int]
    _fronts: dict[tuple[int, tuple[int, ...]], Front] = field(default_factory=dict, repr=False)

    @property
    def order(self) -> list[int]:
        """The columns at the beginning, in the order in which they are visited."""
        return self.connectivity.order[: self.n_columns].tolist()

    def front(self, n_front: int, following: Collection[int] = ()) -> Front:
        """Return the first ``n_front`` columns, and columns that may come next; kept."""
        key = (n_front, tuple(sorted(following)))
        if key not in self._fronts:
            self._fronts[key] = Front(self.model, self.connectivity, n_front, key[1])
        return self._fronts[key]


class Beginnings:
    """A mixture with the columns of ``tiers`` first in the orderings of all members.

    Its answers about these columns are those of one joint density, whatever is asked.

    Parameters
    ----------
    members : Members
    combination : Combination
        Where it is no mixture, beginnings are those of the mixture of its weights, from which rows
        are drawn, and reach over all columns.
    tiers : collections of int
        Columns, first those of the first tier; within a tier each member keeps its own order.
    as_trained : bool
        Leave the orderings as they are: a beginning then reaches to the last of these columns.
    whole : bool
        Beginnings reach over all columns, so that none stands for another member: for whole rows.
    """

    def __init__(
        self,
        members: Members,
        combination: Combination,
        *tiers: Collection[int],
        as_trained: bool = False,
        whole: bool = False,
    ) -> None:
        columns = [column for tier in tiers for column in tier]
        self.columns = columns
        self.combination = combination
        self.members = members if as_trained else members.with_first(*tiers)
        self.weights = weights = combination.weights
        groups: dict[tuple, Beginning] = {}
        network_of = members.network_of
        for k in np.flatnonzero(weights > 0).tolist():
            member = self.members[k]
            reach = int(member.rank[columns].max()) + 1 if columns else 0
            if whole or not combination.is_mixture:
                reach = member.n_columns
            # Hidden degrees decide too, and what is read from a file is equal, not the same.
            degrees = tuple(layer.tobytes() for layer in member.hidden_degrees)
            key = (int(network_of[k]), member.order[:reach].tobytes(), degrees)
            if key not in groups:
                model = members.models[network_of[k]]
                groups[key] = Beginning(model, member, reach, 0.0, [])
            groups[key].weight += float(weights[k])
            groups[key].members.append(k)
        self.groups = list(groups.values())

    def log_probs(self, values: Tensor) -> np.ndarray:
        """Return log q_g of the first columns under each beginning, ``(n_rows, n_groups)``.

        Parameters
        ----------
        values : Tensor of float64, shape (n_rows, n_columns)
            All columns of the table; only the first are looked at.
        """
        result = np.empty((len(values), len(self.groups)))
        for place, group in enumerate(self.groups):
            first = values[:, torch.as_tensor(group.order, dtype=torch.int64)]
            result[:, place] = group.front(group.n_columns).log_probs(first)
        return result

    def log_prob(self, values: Tensor) -> np.ndarray:
        """Return log sum_g w_g q_g of the first columns, in nats, shape ``(n_rows,)``."""
        return power_mean(self.log_probs(values), self.group_weights, 1.0)

    @property
    def group_weights(self) -> np.ndarray:
        """The weights of the beginnings, shape ``(n_groups,)``."""
        return np.array([group.weight for group in self.groups])

    def member_weights(self, values: Tensor) -> np.ndarray:
        """Return the weights of the members, given the first columns of each row, by Bayes.

        Shape ``(n_rows, n_members)``; a row that is impossible under all has NaN.
        """
        joint = self.log_probs(values) + np.log(self.group_weights)
        largest = joint.max(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            shares = np.exp(joint - largest)
        shares /= shares.sum(axis=1, keepdims=True)
        result = np.zeros((len(values), len(self.weights)))
        for place, group in enumerate(self.groups):
            inner = self.weights[group.members] / group.weight
            result[:, group.members] = shares[:, [place]] * inner
        return result
