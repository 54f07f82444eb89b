"""The contract of every conditional family."""

import numpy as np
import pytest
import torch

from made.conditionals import FAMILIES, ConditionalFamily, Interval, Region
from made.errors import OptionError

# Values that a family can take, for families with few of them.
SUPPORTS = {"bernoulli": [0.0, 1.0]}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> ConditionalFamily:
    return FAMILIES[request.param]


@pytest.fixture
def parameters(family: ConditionalFamily) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return 3 * torch.randn(40, family.n_parameters, generator=random, dtype=torch.float64)


def test_masses_sum_to_one(family: ConditionalFamily, parameters: torch.Tensor) -> None:
    total = sum(
        family.log_prob(parameters, torch.full((40,), value, dtype=torch.float64)).exp()
        for value in SUPPORTS[family.name]
    )
    np.testing.assert_allclose(np.asarray(total), 1, atol=1e-12)


def test_cdf_is_the_sum_of_masses(family: ConditionalFamily, parameters: torch.Tensor) -> None:
    running = torch.zeros(40, dtype=torch.float64)
    for value in SUPPORTS[family.name]:
        at = torch.full((40,), value, dtype=torch.float64)
        running = running + family.log_prob(parameters, at).exp()
        torch.testing.assert_close(family.cdf(parameters, at), running)
    assert (family.cdf(parameters, torch.full((40,), -1.0)) == 0).all()


def test_samples_invert_the_cdf(family: ConditionalFamily, parameters: torch.Tensor) -> None:
    uniforms = torch.linspace(0, 0.999, 40, dtype=torch.float64)
    drawn = family.sample(parameters, uniforms)
    assert (family.cdf(parameters, drawn) > uniforms - 1e-12).all()
    below = family.cdf(parameters, drawn) - family.log_prob(parameters, drawn).exp()
    assert (below <= uniforms + 1e-12).all()


def test_mass_of_regions(family: ConditionalFamily, parameters: torch.Tensor) -> None:
    support = SUPPORTS[family.name]
    every = family.mass(parameters, Region.of_values(support))
    torch.testing.assert_close(every, torch.ones_like(every))
    assert (family.mass(parameters, Region(())) == 0).all()
    one = family.mass(parameters, Region.of_values(support[:1]))
    at = torch.full((40,), support[0], dtype=torch.float64)
    torch.testing.assert_close(one, family.log_prob(parameters, at).exp())
    open_ended = Region((Interval(support[0], float("inf"), includes_low=False),))
    torch.testing.assert_close(family.mass(parameters, open_ended), 1 - one)


def test_mode_and_mean(family: ConditionalFamily, parameters: torch.Tensor) -> None:
    support = torch.tensor(SUPPORTS[family.name], dtype=torch.float64)
    masses = torch.stack(
        [family.log_prob(parameters, value.expand(40)).exp() for value in support], dim=1
    )
    torch.testing.assert_close(family.mode(parameters), support[masses.argmax(dim=1)])
    torch.testing.assert_close(family.mean(parameters), masses @ support)


def test_extreme_parameters_give_finite_probabilities_and_right_draws(
    family: ConditionalFamily,
) -> None:
    parameters = torch.full((2, family.n_parameters), 1e4, dtype=torch.float32)
    parameters[1] = -1e4
    values = torch.tensor([1.0, 0.0])
    assert (family.log_prob(parameters, values) == 0).all()
    assert torch.isfinite(family.log_prob(parameters, 1 - values)).all()
    for uniform in (0.0, 0.5, 1 - 1e-7):
        drawn = family.sample(parameters, torch.full((2,), uniform))
        assert drawn.tolist() == [1.0, 0.0]


def test_marginal_parameters_fit_a_column_and_stay_finite() -> None:
    family = FAMILIES["bernoulli"]
    values = torch.tensor([1.0] * 30 + [0.0] * 70)
    fitted = family.marginal_parameters(values)
    assert float(family.mean(fitted)) == pytest.approx(31 / 102)
    assert torch.isfinite(family.marginal_parameters(torch.zeros(5))).all()


def test_regions_must_not_overlap() -> None:
    assert Region((Interval(0, 1, includes_high=False), Interval(1, 2))).contains(
        torch.tensor([0.0, 1.0, 2.0, 2.5])
    ).tolist() == [True, True, True, False]
    with pytest.raises(OptionError, match="must not overlap"):
        Region((Interval(0, 1), Interval(1, 2)))
