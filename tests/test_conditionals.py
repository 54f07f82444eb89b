"""The contract of every conditional family, over every kind of column and wild parameters."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial.legendre import leggauss
from torch import Tensor

from cases import COLUMNS
from made.columns import CategoricalColumn, NumericColumn
from made.conditionals import (
    FAMILIES,
    ConditionalFamily,
    Interval,
    NumericFamily,
    Region,
    family_of,
)
from made.conditionals.logistics import N_COMPONENTS, LogisticMixture
from made.errors import OptionError

EXAMPLES = settings(max_examples=4, deadline=None, derandomize=True)
SIZES = st.sampled_from([0.3, 2.0, 10.0, 1e4])
SEEDS = st.integers(0, 10**6)
EVERYTHING = Interval(-math.inf, math.inf)
_NODES, _WEIGHTS = leggauss(24)


@pytest.fixture(params=COLUMNS)
def family(request: pytest.FixtureRequest) -> ConditionalFamily:
    return family_of(COLUMNS[request.param])


def drawn(family: ConditionalFamily, size: float, seed: int, n_rows: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    shape = (n_rows, family.n_parameters)
    return size * torch.randn(shape, generator=random, dtype=torch.float64)


def grid(n: int) -> Tensor:
    """Return uniforms that reach far into both tails."""
    tails = torch.tensor([1e-9, 1e-7, 1e-5, 1e-4, 1e-3], dtype=torch.float64)
    middle = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    return torch.cat([tails, middle, 1 - tails.flip(0)]).unique()


def values_of(family: ConditionalFamily, parameters: Tensor, n: int = 60) -> Tensor:
    """Return many values of the column, in rising order, shape (n,): outcomes, or quantiles."""
    outcomes = family.column.outcomes
    if outcomes is not None:
        return torch.as_tensor(outcomes[~np.isnan(outcomes)])
    assert isinstance(family, NumericFamily)
    levels = grid(n)
    return family.quantile(parameters[:1].expand(len(levels), -1), levels).unique()


def total_mass(family: ConditionalFamily, parameters: Tensor) -> float:
    """Return the mass of everything that a row of parameters gives, added up piece by piece."""
    column, row = family.column, parameters[:1]

    def log_prob(values: Tensor) -> Tensor:
        return family.log_prob(row.expand(len(values), -1), values)

    missing = log_prob(torch.tensor([torch.nan])).exp().item() if column.missing else 0.0
    if not isinstance(column, NumericColumn):
        return missing + log_prob(values_of(family, parameters)).exp().sum().item()
    ends = values_of(family, parameters, 400)
    if column.discrete:
        # A stretch of neighbours one by one, and what the cdf says lies on both sides.
        middle = float(ends[len(ends) // 2])
        span = torch.arange(middle - 1500, middle + 1501, dtype=torch.float64)
        below, upto = (family.cdf(row[0], span[i] - step).item() for i, step in ((0, 1), (-1, 0)))
        above = family.cdf(row[0], torch.tensor(math.inf)).item() - upto
        return missing + below + log_prob(span).exp().sum().item() + above
    atoms = log_prob(torch.tensor(column.atoms, dtype=torch.float64)).exp().sum().item()
    limits = [end for end in (column.low, column.high) if end is not None]
    inner = [knot for knot in column.knots if ends[0] < knot < ends[-1]]
    # Components may be as narrow as e^-8, with next to nothing between them.
    scales = torch.tensor([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0], dtype=torch.float64)
    mixture = LogisticMixture(row[0, -3 * N_COMPONENTS :], *column.score_limits)
    steps = mixture.scales[:, None] * torch.cat([-scales, scales])
    near = column.inverse((mixture.means[:, None] + steps).reshape(-1).numpy())
    near = near[(near > ends[0].item()) & (near < ends[-1].item())]
    inner = torch.tensor([*limits, *inner, *near], dtype=torch.float64)
    borders = torch.cat([ends, inner]).unique()
    widths = borders.diff()[:, None] / 2
    nodes = borders[:-1, None] + widths * (1 + torch.as_tensor(_NODES))
    density = log_prob(nodes.reshape(-1)).exp().view(nodes.shape)
    # A node that falls on an atom would count its mass as a density.
    density = torch.where(torch.isin(nodes, torch.tensor(column.atoms)), 0.0, density)
    return missing + atoms + (density * widths * torch.as_tensor(_WEIGHTS)).sum().item()


@EXAMPLES
@given(size=SIZES, seed=SEEDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_everything_sums_to_one(name: str, size: float, seed: int) -> None:
    family = family_of(COLUMNS[name])
    assert total_mass(family, drawn(family, size, seed, 1)) == pytest.approx(1, abs=1e-5)


@EXAMPLES
@given(size=SIZES, seed=SEEDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_samples_invert_the_cdf(name: str, size: float, seed: int) -> None:
    family = family_of(COLUMNS[name])
    uniforms = grid(40)
    parameters = drawn(family, size, seed, 1).expand(len(uniforms), -1)
    values = family.sample(parameters, uniforms)
    is_value = ~torch.isnan(values)
    unseen = isinstance(family.column, CategoricalColumn)
    if not unseen:
        assert (is_value.int().diff() <= 0).all(), "missing comes last"
    found, wanted = values[is_value], uniforms[is_value]
    assert (found.diff() >= 0).all()
    passed = family.cdf(parameters[is_value], found)
    if unseen:
        # What was never seen comes after missing, so that its cdf leaves missing out.
        is_level = found < len(family.column.levels)
        passed, found, wanted = passed[is_level], found[is_level], wanted[is_level]
    # Between very narrow clusters, a step of float64 is worth 1e-8.
    assert (passed >= wanted - 1e-7).all()
    if isinstance(family.column, NumericColumn):
        step = 1.0 if family.column.discrete else 0.0
        before = family.cdf(parameters[: len(found)], found - step)
        before = before if step else passed - _atom_mass(family, parameters, found)
    else:
        before = family.cdf(parameters[: len(found)], found - 1)
    assert (before <= wanted + 1e-7).all()


def _atom_mass(family: ConditionalFamily, parameters: Tensor, values: Tensor) -> Tensor:
    is_atom = torch.isin(values, torch.tensor(family.column.atoms, dtype=torch.float64))
    mass = family.log_prob(parameters[: len(values)], values).exp()
    # Of a density, the slack is what float64 can tell apart.
    return torch.where(is_atom, mass, mass * values.abs() * 1e-15)


@pytest.mark.parametrize(
    ("name", "size", "seed"), [("no real", 2.0, 277266), ("few integers", 10.0, 50338)]
)
def test_samples_cross_the_gap_between_narrow_components(name: str, size: float, seed: int) -> None:
    # Newton's steps alone crawl here, and stopped short of the quantile.
    family = family_of(COLUMNS[name])
    levels = grid(40)
    parameters = drawn(family, size, seed, 1).expand(len(levels), -1)
    assert isinstance(family, NumericFamily)
    values = family.quantile(parameters, levels)
    present = family.cdf(parameters, torch.full_like(levels, math.inf))
    step = 1.0 if family.column.discrete else 0.0
    assert (family.cdf(parameters, values) >= levels * present - 1e-7).all()
    assert (family.cdf(parameters, values - step) <= levels * present + 1e-7).all()


def test_cdf_ends_at_what_is_not_missing(family: ConditionalFamily) -> None:
    parameters = drawn(family, 2.0, 1, 4)
    top = torch.full((4,), math.inf, dtype=torch.float64)
    missing = torch.zeros(4, dtype=torch.float64)
    if family.column.missing:
        missing = family.log_prob(parameters, torch.full((4,), math.nan)).exp()
    torch.testing.assert_close(
        family.cdf(parameters, top).double(), 1 - missing, atol=1e-12, rtol=0
    )
    assert (family.cdf(parameters, -top) == 0).all()
    assert (family.cdf(parameters, torch.full((4,), math.nan)) == 0).all()
    everything = family.mass(parameters, Region((EVERYTHING,), missing=True))
    torch.testing.assert_close(everything, torch.ones_like(everything), atol=1e-12, rtol=0)
    assert (family.mass(parameters, Region(())) == 0).all()


@EXAMPLES
@given(size=SIZES, seed=SEEDS, includes_low=st.booleans(), includes_high=st.booleans())
@pytest.mark.parametrize("name", COLUMNS)
def test_masses_of_intervals(
    name: str, size: float, seed: int, includes_low: bool, includes_high: bool
) -> None:
    family = family_of(COLUMNS[name])
    parameters = drawn(family, size, seed, 1)
    values = values_of(family, parameters)
    low, high = float(values[len(values) // 3]), float(values[2 * len(values) // 3])
    if not low < high:
        return
    mass = family.mass(parameters, Region((Interval(low, high, includes_low, includes_high),)))
    ends = torch.tensor([low, high], dtype=torch.float64)
    at_ends = (
        family.mass(parameters, Region.of_values([low])),
        family.mass(parameters, Region.of_values([high])),
    )
    below = family.cdf(parameters.expand(2, -1), ends)
    wanted = below[1] - below[0] + at_ends[0] * includes_low - at_ends[1] * (not includes_high)
    assert mass.item() == pytest.approx(wanted.item(), abs=1e-9)
    is_density = isinstance(family.column, NumericColumn) and not family.column.discrete
    for end, at_end in zip(ends, at_ends, strict=True):
        own = family.log_prob(parameters, end[None]).exp().item()
        is_atom = not is_density or float(end) in family.column.atoms
        assert at_end.item() == pytest.approx(own if is_atom else 0.0, abs=1e-9)


@EXAMPLES
@given(size=SIZES, seed=SEEDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_no_value_is_likelier_than_the_mode(name: str, size: float, seed: int) -> None:
    family = family_of(COLUMNS[name])
    parameters = drawn(family, size, seed, 1)
    mode = family.mode(parameters)
    values = values_of(family, parameters, 300)
    if isinstance(family.column, CategoricalColumn):
        values = values[:-1]  # What was never seen is no guess.
    if isinstance(family.column, NumericColumn) and not family.column.discrete:
        atoms = torch.tensor(family.column.atoms, dtype=torch.float64)
        is_atom = torch.isin(values, atoms)
        rest = family.mass(parameters, Region((EVERYTHING,))) - family.mass(
            parameters, Region.of_values(family.column.atoms)
        )
        if torch.isin(mode, atoms).item():
            assert family.log_prob(parameters, mode).exp() >= rest - 1e-9
        values = values[is_atom if torch.isin(mode, atoms).item() else ~is_atom]
    if len(values):
        others = family.log_prob(parameters.expand(len(values), -1), values)
        assert (others <= family.log_prob(parameters, mode) + 1e-3).all()


@EXAMPLES
@given(size=SIZES, seed=SEEDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_mean_is_the_average(name: str, size: float, seed: int) -> None:
    family = family_of(COLUMNS[name])
    parameters = drawn(family, size, seed, 1)
    mean = family.mean(parameters).item()
    if family.column.outcomes is not None:
        values = values_of(family, parameters)
        values = values[: len(getattr(family.column, "levels", values))]
        masses = family.log_prob(parameters.expand(len(values), -1), values).exp()
        wanted = (masses * values).sum() / masses.sum() if len(values) else math.nan
        assert mean == pytest.approx(float(wanted), rel=1e-9, nan_ok=True)
        return
    # The average of all quantiles.
    assert isinstance(family, NumericFamily)
    n = 20001
    levels = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    quantiles = family.quantile(parameters.expand(n, -1), levels)
    ends = values_of(family, parameters)
    # Tails are cut, and of very many whole numbers the mean is that before rounding.
    slack = 2e-3 * (quantiles[-1] - quantiles[0]) + 1e-4 * (ends[-1] - ends[0])
    slack = float(slack) + 0.5 * family.column.discrete + 1e-12
    assert mean == pytest.approx(float(quantiles.mean()), abs=slack)


def test_registry_names_each_family() -> None:
    assert set(FAMILIES) == {family_of(column).name for column in COLUMNS.values()}
    assert all(name == family.name for name, family in FAMILIES.items())


def test_regions_must_not_overlap() -> None:
    assert Region((Interval(0, 1, includes_high=False), Interval(1, 2))).contains(
        torch.tensor([0.0, 1.0, 2.0, 2.5])
    ).tolist() == [True, True, True, False]
    with pytest.raises(OptionError, match="must not overlap"):
        Region((Interval(0, 1), Interval(1, 2)))
    with pytest.raises(OptionError, match="no number"):
        Region((Interval(0, math.nan),))
