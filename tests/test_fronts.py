"""The front of an ordering alone: marginals and what comes next, against sums over everything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import NETWORKS, mixed_model, random_model
from made.ensemble import Combination, Ensemble, Members
from made.errors import OptionError, WeightsError
from made.model import Model
from made.ordered import Front
from made.orderings import Connectivity, with_first


def all_rows(model: Model) -> torch.Tensor:
    outcomes = [column.outcomes for column in model.columns]
    return torch.tensor(list(itertools.product(*outcomes)), dtype=torch.float64)  # type: ignore[arg-type]


def log_probs_of(model: Model, connectivity: Connectivity, rows: torch.Tensor) -> np.ndarray:
    return Members([(model, [connectivity])]).log_probs(rows)[:, 0]


def marginals(rows: torch.Tensor, log_probs: np.ndarray, columns: list[int]) -> dict:
    """Return the probability of all values of some columns, by summing over the others."""
    sums: dict = {}
    for row, log_prob in zip(rows[:, columns].tolist(), log_probs, strict=True):
        key = tuple("missing" if value != value else value for value in row)
        sums[key] = sums.get(key, 0.0) + float(np.exp(log_prob))
    return sums


def keys(rows: torch.Tensor) -> list:
    return [tuple("missing" if value != value else value for value in row) for row in rows.tolist()]


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_a_front_says_what_the_sum_over_the_rest_says(name: str, data: st.DataObject) -> None:
    model = random_model(5, **NETWORKS[name])
    connectivity = model.connectivity_source(3, None).training(data.draw(st.integers(0, 5)))
    n_front = data.draw(st.integers(0, 5))
    rows = all_rows(model)
    log_probs = log_probs_of(model, connectivity, rows)
    columns = connectivity.order[:n_front].tolist()
    front = Front(model, connectivity, n_front)
    ours = np.exp(front.log_probs(rows[:, columns]).numpy())
    sums = marginals(rows, log_probs, columns)
    assert ours == pytest.approx([sums[key] for key in keys(rows[:, columns])], abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_column_can_come_next(name: str) -> None:
    model = random_model(5, **NETWORKS[name])
    connectivity = model.connectivity_source(3, None).training(1)
    rows = all_rows(model)
    known, rest = connectivity.order[:2].tolist(), connectivity.order[2:].tolist()
    front = Front(model, connectivity, 2, rest)
    outputs = front.outputs(rows[:, known])
    for column in rest:
        first = with_first(connectivity, known, [column])
        conditional = model.families[column].log_prob(
            front.parameters(outputs, column), rows[:, column]
        )
        joint = marginals(rows, log_probs_of(model, first, rows), [*known, column])
        evidence = marginals(rows, log_probs_of(model, first, rows), known)
        expected = [
            joint[three] / evidence[two]
            for three, two in zip(
                keys(rows[:, [*known, column]]), keys(rows[:, known]), strict=True
            )
        ]
        assert conditional.exp().numpy() == pytest.approx(expected, abs=1e-5)


def test_outputs_by_column_are_those_of_the_whole_network() -> None:
    model = mixed_model(["grades", "stars", "binary", "real, holes"])
    connectivity = model.connectivity_source(0, None).training(0)
    values = torch.tensor([[0.0, 3.0, 1.0, 9.0], [2.0, np.nan, 0.0, np.nan]], dtype=torch.float64)
    codes = model.codes(values).float()
    whole = model.parameters_of(codes, model.network.wire(connectivity))
    front = Front(model, connectivity, 4)
    ours = front.by_column(front.outputs_of_features(model.features(codes)))
    assert torch.allclose(ours, whole, atol=1e-5)
    same = front.by_column(front.outputs(values[:, connectivity.order]))
    assert torch.allclose(same, whole, atol=1e-5)


def test_members_that_begin_alike_are_one() -> None:
    model = random_model(6)
    connectivities = model.connectivity_source(0, None).members(12)
    ensemble = Ensemble(Members([(model, connectivities)]))
    assert len(ensemble.first([3]).groups) == 1
    two = ensemble.first([1, 4])
    assert len(two.groups) == 2
    assert sum(group.weight for group in two.groups) == pytest.approx(1)
    assert len(ensemble.first([1], [4]).groups) == 1
    # Redrawn hidden degrees tell members apart whatever comes first.
    redrawn = random_model(6, hidden_degrees="redrawn")
    others = redrawn.connectivity_source(0, None).members(5)
    assert len(Ensemble(Members([(redrawn, others)])).first([3]).groups) == 5


def test_a_marginal_is_the_same_whatever_stands_in_the_other_columns() -> None:
    model = mixed_model(["grades", "stars", "binary", "real, holes"])
    ensemble = Ensemble.mixture(model, model.connectivity_source(0, None).members(4))
    values = torch.tensor([[0.0, 3.0, 1.0, 9.0], [0.0, np.nan, 1.0, -1e9]], dtype=torch.float64)
    one, other = ensemble.first([0, 2]).log_prob(values)
    assert one == other


def test_weights_of_members_are_updated_by_bayes() -> None:
    model = random_model(4, hidden_degrees="redrawn")
    weights = np.array([0.5, 0.3, 0.2])
    ensemble = Ensemble.mixture(model, model.connectivity_source(0, None).members(3), weights)
    beginnings = ensemble.first([2, 0])
    rows = all_rows(model)
    joint = np.exp(beginnings.log_probs(rows)) * beginnings.group_weights
    expected = joint / joint.sum(axis=1, keepdims=True)
    assert beginnings.member_weights(rows) == pytest.approx(expected)


def test_weights_that_are_not_finite_are_refused() -> None:
    model = random_model(4)
    with torch.no_grad():
        model.network.output_bias[0] = np.nan
    front = Front(model, model.connectivity_source(0, None).training(0), 4)
    with pytest.raises(WeightsError, match="NaN or infinity"):
        front.log_probs(torch.zeros(1, 4, dtype=torch.float64))


def test_the_heaviest_members_are_kept() -> None:
    model = random_model(4)
    members = Members([(model, model.connectivity_source(0, None).members(4))])
    ensemble = Ensemble(members, Combination(np.array([0.1, 0.4, 0.2, 0.3])))
    assert ensemble.heaviest(2).weights == pytest.approx([0, 4 / 7, 0, 3 / 7])
    assert ensemble.heaviest(None) is ensemble
    assert ensemble.heaviest(9) is ensemble
    for bad in (0, 1.5, True):
        with pytest.raises(OptionError, match="orderings must be"):
            ensemble.heaviest(bad)  # type: ignore[arg-type]
