"""Probabilities sum to 1 and depend on nothing that they must not depend on."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import NETWORKS, every_row, random_model
from made.ensemble import Ensemble
from made.model import Model
from made.orderings import Connectivity, with_first


def member_sum(model: Model, connectivity: Connectivity) -> float:
    wiring = model.network.wire(connectivity)
    with torch.no_grad():
        log_probs = model.log_prob(every_row(model.n_columns), wiring)
    return float(log_probs.exp().sum())


@pytest.mark.parametrize("n_columns", [1, 2, 5, 10])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_member_sums_to_one(name: str, n_columns: int) -> None:
    model = random_model(n_columns, **NETWORKS[name])
    source = model.connectivity_source(seed=3, n_orderings=None)
    for index in range(3):
        assert member_sum(model, source.training(index)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_mixture_sums_to_one(name: str) -> None:
    model = random_model(6, **NETWORKS[name])
    members = model.connectivity_source(seed=1, n_orderings=None).members(5)
    weights = np.array([0.1, 0.0, 0.5, 0.3, 0.1])
    log_prob = Ensemble.mixture(model, members, weights).log_prob(every_row(6))
    assert np.exp(log_prob).sum() == pytest.approx(1, abs=1e-5)


def test_mixture_is_the_weighted_mean_of_probabilities() -> None:
    model = random_model(5)
    members = model.connectivity_source(seed=1, n_orderings=4).members(4)
    ensemble = Ensemble.mixture(model, members)
    rows = every_row(5)
    mean = np.exp(ensemble.member_log_probs(rows)).mean(axis=1)
    np.testing.assert_allclose(np.exp(ensemble.log_prob(rows)), mean, rtol=1e-12)


def test_mean_of_logits_over_orderings_would_not_be_a_distribution() -> None:
    # What a well-known implementation does; kept to show what the mixture avoids.
    rows = every_row(8)
    errors = []
    for seed in range(5):
        model = random_model(8, seed)
        members = model.connectivity_source(seed, None).members(6)
        with torch.no_grad():
            logits = [model.parameters_of(rows, model.network.wire(m)) for m in members]
        pooled = torch.stack(logits).mean(dim=0)
        log_prob = torch.nn.functional.logsigmoid(pooled * (2 * rows - 1)).sum(dim=1)
        errors.append(abs(float(log_prob.exp().sum()) - 1))
        mixture = np.exp(Ensemble.mixture(model, members).log_prob(rows)).sum()
        assert mixture == pytest.approx(1, abs=1e-5)
    assert max(errors) > 1e-3


@settings(max_examples=60, deadline=None)
@given(
    n_columns=st.integers(1, 40),
    widths=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    name=st.sampled_from(sorted(NETWORKS)),
    seed=st.integers(0, 1000),
)
def test_no_forbidden_edge(n_columns: int, widths: list[int], name: str, seed: int) -> None:
    options = dict(NETWORKS[name])
    if "hidden" not in options:
        options["hidden"] = tuple(widths)
    model = random_model(n_columns, seed, **options).double()
    connectivity = model.connectivity_source(seed, None).training(0)
    wiring = model.network.wire(connectivity)
    point = torch.rand(1, n_columns, dtype=torch.float64, requires_grad=True)
    jacobian = torch.autograd.functional.jacobian(
        lambda rows: model.parameters_of(rows, wiring)[0], point
    )
    forbidden = connectivity.rank[None, :] >= connectivity.rank[:, None]
    assert isinstance(jacobian, torch.Tensor)
    assert not jacobian[:, 0][torch.as_tensor(forbidden)].any()


def test_every_allowed_edge_can_be_used() -> None:
    model = random_model(7, hidden=(60, 60)).double()
    connectivity = model.connectivity_source(0, None).training(0)
    wiring = model.network.wire(connectivity)
    points = torch.rand(20, 7, dtype=torch.float64)
    jacobian = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda rows: model.parameters_of(rows[None], wiring)[0], point
            )
            for point in points
        ]
    )
    allowed = torch.as_tensor(connectivity.rank[None, :] < connectivity.rank[:, None])
    assert (jacobian.abs().amax(dim=0)[allowed] > 0).all()


def test_masks_are_never_multiplied_into_the_weights() -> None:
    model = random_model(6)
    before = {name: value.clone() for name, value in model.named_parameters()}
    source = model.connectivity_source(0, None)
    for index in range(20):
        model.log_prob(every_row(6), model.network.wire(source.training(index)))
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name])


def test_members_with_evidence_first_are_normalised() -> None:
    model = random_model(9)
    for index in range(5):
        connectivity = with_first(model.connectivity_source(0, None).training(index), [7, 2, 4])
        assert set(connectivity.order[:3]) == {2, 4, 7}
        assert member_sum(model, connectivity) == pytest.approx(1, abs=1e-5)
