"""Numbers: units, bounds, tails, atoms, and where training starts."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate

from cases import COLUMNS, with_holes
from made.columns import ContinuousColumn, IntegerColumn, NumericColumn
from made.columns.fitting import fit_numeric
from made.conditionals import (
    ConditionalFamily,
    Continuous,
    Discrete,
    Interval,
    Region,
    family_of,
)
from made.conditionals.logistics import (
    N_COMPONENTS,
    LogisticMixture,
    standard_normal_parameters,
)

NUMERIC = {name: column for name, column in COLUMNS.items() if isinstance(column, NumericColumn)}


def random_parameters(family: ConditionalFamily, n_rows: int, size: float = 1.0) -> torch.Tensor:
    random = torch.Generator().manual_seed(5)
    return size * torch.randn((n_rows, family.n_parameters), generator=random, dtype=torch.float64)


@pytest.mark.parametrize("factor", [1e-6, 0.5, 254.0, 1e9])
def test_log_density_changes_by_log_of_the_unit(factor: float) -> None:
    random = np.random.default_rng(0)
    values = random.lognormal(1, 1, 600)
    values[::6] = 2.0
    one = family_of(fit_numeric(ContinuousColumn, "x", with_holes(values), low=0.0))
    other = family_of(fit_numeric(ContinuousColumn, "x", with_holes(values) * factor, low=0.0))
    cells = torch.as_tensor(random.lognormal(1, 1, 200))
    parameters = random_parameters(one, 200)
    difference = other.log_prob(parameters, cells * factor) - one.log_prob(parameters, cells)
    torch.testing.assert_close(
        difference, torch.full_like(difference, -math.log(factor)), atol=1e-5, rtol=0
    )
    # The mass of an atom has no unit.
    atom = torch.full((200,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(
        other.log_prob(parameters, atom * factor), one.log_prob(parameters, atom)
    )


def test_a_mirrored_column_has_the_mirrored_density_if_means_are_mirrored() -> None:
    # Which scale is fitted may differ, since rows are drawn to try them: one is mirrored here.
    column = COLUMNS["price"]
    assert isinstance(column, ContinuousColumn)
    knots, scores = (tuple(-x for x in reversed(part)) for part in (column.knots, column.scores))
    one = family_of(column)
    other = family_of(replace(column, knots=knots, scores=scores, low=None, high=0.0))
    cells = torch.linspace(0.01, 9, 150, dtype=torch.float64)
    parameters = random_parameters(one, 150)
    mirrored = parameters.clone()
    mirrored[:, N_COMPONENTS : 2 * N_COMPONENTS] *= -1
    torch.testing.assert_close(
        other.log_prob(mirrored, -cells), one.log_prob(parameters, cells), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(("low", "high"), [(0.0, None), (None, 50.0), (0.0, 50.0), (-3.0, 90.0)])
@pytest.mark.parametrize("kind", [ContinuousColumn, IntegerColumn])
def test_no_mass_beyond_the_limits(
    kind: type[NumericColumn], low: float | None, high: float | None
) -> None:
    values = np.random.default_rng(2).uniform(0, 50, 300).round()
    family = family_of(fit_numeric(kind, "x", values, low=low, high=high))
    parameters = random_parameters(family, 60, 6.0)
    for limit, side in ((low, -1.0), (high, 1.0)):
        if limit is None:
            continue
        for distance in (1.0, 7.0, 1e6):
            beyond = torch.full((60,), limit + side * distance, dtype=torch.float64)
            assert (family.log_prob(parameters, beyond) == -math.inf).all()
        outside = Interval(-math.inf, limit, includes_high=False)
        if side > 0:
            outside = Interval(limit, math.inf, includes_low=False)
        assert family.mass(parameters, Region((outside,))).max() < 1e-12
    drawn = family.sample(parameters, torch.linspace(0, 1 - 1e-12, 60, dtype=torch.float64))
    least, most = (-math.inf if low is None else low), (math.inf if high is None else high)
    assert drawn.min() >= least
    assert drawn.max() <= most


@pytest.mark.parametrize("name", NUMERIC)
def test_values_far_outside_the_training_rows_score_finite(name: str) -> None:
    column = NUMERIC[name]
    family = family_of(column)
    width = column.knots[-1] - column.knots[0]
    cells = np.round([column.knots[-1] + width * far for far in (1, 100, 1e6, 1e12)])
    cells = cells if column.high is None else np.array([column.high])
    for size in (0.0, 1.0, 1e4):
        parameters = random_parameters(family, len(cells), size).float()
        assert torch.isfinite(family.log_prob(parameters, torch.as_tensor(cells))).all()


def test_densities_agree_with_adaptive_quadrature() -> None:
    column = COLUMNS["price"]
    assert isinstance(column, NumericColumn)
    family = family_of(column)
    parameters = random_parameters(family, 1, 1.5)

    def density(value: float) -> float:
        return float(family.log_prob(parameters, torch.tensor([value], dtype=torch.float64)).exp())

    for start, stop in ((0.0, 0.7), (0.7, 3.0), (0.0, 60.0)):
        points = [knot for knot in column.knots if start < knot < stop]
        area, _ = integrate.quad(density, start, stop, points=points, limit=400)
        mass = family.mass(parameters, Region((Interval(start, stop),)))
        assert area == pytest.approx(mass.item(), abs=1e-6)


@pytest.mark.parametrize("name", ["counts", "stars", "gains", "one integer", "few integers"])
def test_mass_of_a_region_is_the_sum_of_its_numbers(name: str) -> None:
    family = family_of(COLUMNS[name])
    assert isinstance(family, Discrete)
    parameters = random_parameters(family, 1)
    whole = torch.arange(-20.0, 31.0, dtype=torch.float64)
    masses = family.log_prob(parameters.expand(len(whole), -1), whole).exp()
    for low, high in ((1.0, 4.0), (0.5, 3.9), (2.2, 2.8), (-20.0, 30.0)):
        inside = (whole >= low) & (whole <= high)
        mass = family.mass(parameters, Region((Interval(low, high),)))
        assert mass.item() == pytest.approx(masses[inside].sum().item(), abs=1e-12)


@pytest.mark.parametrize("name", NUMERIC)
def test_training_starts_close_to_the_marginal(name: str) -> None:
    random = np.random.default_rng(3)
    kind = type(NUMERIC[name])
    values = {
        "gains": np.where(random.random(3000) < 0.9, 0.0, random.lognormal(8, 1.5, 3000)),
        "price": random.lognormal(0, 1, 3000),
    }.get(name, random.normal(20, 5, 3000))
    values = with_holes(values.round() if kind.discrete else values)
    column = fit_numeric(kind, "x", values, low=0.0 if name in ("gains", "price") else None)
    family = family_of(column)
    start = family.marginal_parameters(values)
    assert start.shape == (family.n_parameters,)
    at = np.nanquantile(values, np.linspace(0.02, 0.98, 49), method="nearest")
    passed = family.cdf(start.expand(len(at), -1), torch.as_tensor(at)).numpy()
    wanted = np.array([(values <= value).mean() for value in at])
    assert np.abs(passed - wanted).max() < 0.06
    assert float(family.cdf(start, torch.tensor(math.inf))) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("limits", [(-1e4, 1e4), (-2.0, 1e4), (-0.5, 0.5), (-1e4, -3.0)])
@pytest.mark.parametrize("size", [1.0, 30.0, 1e4])
def test_mixture_masses_add_up(limits: tuple[float, float], size: float) -> None:
    random = torch.Generator().manual_seed(0)
    parameters = size * torch.randn(50, 3 * N_COMPONENTS, generator=random, dtype=torch.float64)
    mixture = LogisticMixture(parameters, *limits)
    low, high = (torch.full((50,), limit, dtype=torch.float64) for limit in limits)
    middle = mixture.means[:, 0].clamp(*limits)
    whole = mixture.mass_between(low, high)
    torch.testing.assert_close(whole, torch.ones_like(whole))
    parts = mixture.mass_between(low, middle) + mixture.mass_between(middle, high)
    torch.testing.assert_close(parts, whole)


def test_standard_normal_parameters_are_close_to_a_normal() -> None:
    scores = torch.linspace(-3, 3, 61)
    mixture = LogisticMixture(standard_normal_parameters(), -1e4, 1e4)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(scores)
    assert (mixture.log_density(scores) - normal).abs().max() < 0.25


def test_atoms_of_a_density_are_masses() -> None:
    column = ContinuousColumn("x", missing=True, atoms=(0.0, 1.0))
    family = Continuous(column)
    parameters = torch.zeros(1, family.n_parameters, dtype=torch.float64)
    for value in (0.0, 1.0, math.nan):
        scored = family.log_prob(parameters, torch.tensor([value], dtype=torch.float64))
        assert scored.exp().item() == pytest.approx(0.25)
    one = family.mass(parameters, Region.of_values([1.0], missing=True)).item()
    assert one == pytest.approx(0.5)
    assert family.mass(parameters, Region.of_values([0.5])).item() == 0


def test_exact_atoms_come_out_of_the_sampler() -> None:
    column = fit_numeric(ContinuousColumn, "x", np.repeat([0.1 + 0.2, 0.7], 50), atoms=True)
    family = family_of(column)
    start = family.marginal_parameters(np.repeat([0.1 + 0.2, 0.7], 50))
    drawn = family.sample(start.expand(99, -1), torch.linspace(0.01, 0.99, 99)).numpy()
    assert np.isin(drawn, [0.1 + 0.2, 0.7]).mean() > 0.9
