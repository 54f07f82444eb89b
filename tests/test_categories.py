"""Categories and bits: rare and unseen levels, very many levels, and where training starts."""

import math

import numpy as np
import pytest
import torch

from made.columns import BinaryColumn, CategoricalColumn
from made.columns.fitting import fit_categorical
from made.conditionals import Bernoulli, Categorical, Interval, Region


def test_fifty_thousand_levels_sum_to_one() -> None:
    n_levels = 50_000
    random = np.random.default_rng(0)
    places = random.zipf(1.3, 300_000) % n_levels
    column = fit_categorical("sku", places.astype(np.float64), list(range(n_levels)))
    assert column.is_embedded
    family = Categorical(column)
    logits = torch.randn(1, family.n_parameters, generator=torch.Generator().manual_seed(0))
    every = torch.arange(n_levels + 1, dtype=torch.float64)
    single = family.log_prob(logits.expand(len(every), -1), every).double().exp().sum()
    assert float(single) == pytest.approx(1, abs=1e-5)
    drawn = family.sample(logits.expand(500, -1), torch.linspace(0, 0.999, 500))
    assert (drawn.diff() >= 0).all()
    everything = Region((Interval(-math.inf, math.inf),))
    assert family.mass(logits, everything).item() == pytest.approx(1, abs=1e-12)


def test_rare_levels_split_the_mass_of_their_class_by_counts() -> None:
    column = CategoricalColumn("c", "", False, tuple("abcd"), (50, 1, 3, 40), 94)
    family = Categorical(column)
    logits = torch.tensor([[0.3, -1.0, 0.8]], dtype=torch.float64)
    masses = family.log_prob(logits.expand(5, -1), torch.arange(5.0)).exp()
    classes = torch.softmax(logits[0], -1) * (1 - 2 / 96)
    wanted = [classes[0], classes[2] * 1.5 / 5, classes[2] * 3.5 / 5, classes[1], 2 / 96]
    np.testing.assert_allclose(masses, [float(mass) for mass in wanted])
    torch.testing.assert_close(family.probabilities(logits)[0], masses[:4])


def test_missing_is_drawn_after_all_levels_and_the_unseen_last() -> None:
    column = CategoricalColumn("c", "", True, ("a", "b"), (30, 60), 98)
    family = Categorical(column)
    logits = torch.zeros(4, 3, dtype=torch.float64)
    drawn = family.sample(logits, torch.tensor([0.1, 0.5, 0.9, 0.995], dtype=torch.float64))
    assert drawn[:2].tolist() == [0, 1]
    assert drawn[2].isnan()
    assert drawn[3] == 2


def test_a_bit_that_can_be_missing_is_never_unseen() -> None:
    family = Categorical(BinaryColumn("x", missing=True))
    logits = torch.full((1, 3), -1e4)
    logits[0, 1] = 1e4
    assert family.sample(logits, torch.tensor([1 - 1e-16], dtype=torch.float64)).item() in (1.0,)
    masses = family.log_prob(logits.expand(3, -1), torch.tensor([0.0, 1.0, math.nan])).exp()
    assert masses.tolist() == [0, 1, 0]


@pytest.mark.parametrize("size", [1e4, -1e4])
def test_extreme_logits_of_a_bit_stay_finite(size: float) -> None:
    family = Bernoulli(BinaryColumn("x"))
    parameters = torch.full((1, 1), size)
    likely, unlikely = torch.tensor([float(size > 0)]), torch.tensor([float(size < 0)])
    assert family.log_prob(parameters, likely).item() == 0
    assert family.log_prob(parameters, unlikely).item() == -1e4
    for uniform in (0.0, 0.5, 1 - 1e-7):
        assert family.sample(parameters, torch.tensor([uniform])).item() == likely.item()


def test_training_starts_at_the_shares_of_levels() -> None:
    values = np.array([0.0] * 50 + [1.0] * 30 + [np.nan] * 20)
    column = fit_categorical("c", values, ["a", "b"])
    family = Categorical(column)
    start = family.marginal_parameters(values)
    masses = family.log_prob(start.expand(3, -1), torch.tensor([0.0, 1.0, math.nan])).exp()
    np.testing.assert_allclose(masses, [0.5, 0.3, 0.2], atol=0.01)
    bit = Bernoulli(BinaryColumn("x"))
    fitted = bit.marginal_parameters(np.array([1.0] * 30 + [0.0] * 70))
    assert float(bit.mean(fitted)) == pytest.approx(31 / 102)
    assert torch.isfinite(bit.marginal_parameters(np.zeros(5))).all()
