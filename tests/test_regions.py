"""The algebra of regions, and draws within them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import COLUMNS
from made.conditionals import Interval, Region, family_of
from made.conditionals.numeric import NumericFamily

EVERY_VALUE = torch.tensor([-np.inf, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, np.inf, np.nan])


@st.composite
def regions(draw: st.DrawFn) -> Region:
    ends = sorted(draw(st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0]), max_size=4, unique=True)))
    pairs = zip(ends[::2], ends[1::2], strict=False)
    parts = [Interval(low, high, draw(st.booleans()), draw(st.booleans())) for low, high in pairs]
    return Region(tuple(parts), draw(st.booleans()))


@given(regions(), regions())
def test_set_operations_are_those_of_what_regions_contain(one: Region, two: Region) -> None:
    first, second = one.contains(EVERY_VALUE), two.contains(EVERY_VALUE)
    assert torch.equal((one & two).contains(EVERY_VALUE), first & second)
    assert torch.equal((one | two).contains(EVERY_VALUE), first | second)
    assert torch.equal(one.complement().contains(EVERY_VALUE), ~first)
    assert one.complement().complement().contains(EVERY_VALUE).equal(first)
    assert (one & one.complement()).is_empty
    assert (one | one.complement()).is_everything


def random_parameters(name: str, n_rows: int, seed: int = 0) -> tuple:
    family = family_of(COLUMNS[name])
    random = torch.Generator().manual_seed(seed)
    return family, torch.randn(n_rows, family.n_parameters, generator=random)


def some_region(name: str, random: np.random.Generator) -> Region:
    column = COLUMNS[name]
    missing = column.missing and bool(random.integers(2))
    if column.outcomes is not None:
        present = column.outcomes[~np.isnan(column.outcomes)]
        return Region.of_values(random.choice(present, max(len(present) // 2, 1)), missing=missing)
    ends = np.sort(column.inverse(random.normal(size=4)))  # type: ignore[attr-defined]
    return Region((Interval(ends[0], ends[1]), Interval(ends[2], ends[3], False)), missing)


@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in ("no level", "no real")])
def test_draws_within_a_region_lie_in_it_and_follow_its_masses(name: str) -> None:
    random = np.random.default_rng(1)
    family, parameters = random_parameters(name, 1)
    for _ in range(4):
        region = some_region(name, random)
        mass = float(family.mass(parameters, region)[0])
        if mass < 1e-9:
            continue
        levels = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
        drawn = family.sample_in(parameters.expand(2000, -1), region, levels)
        assert region.contains(drawn.double()).all()
        # Even uniforms: the share of draws in a part of the region is that part's share of mass.
        middle = np.nanmedian(drawn.numpy()) if not torch.isnan(drawn).all() else 0.0
        part = region & Region((Interval(-np.inf, middle),), missing=True)
        share = float(family.mass(parameters, part)[0]) / mass
        assert float(part.contains(drawn.double()).double().mean()) == pytest.approx(
            share, abs=2e-3
        )


@pytest.mark.parametrize("name", ["counts", "real", "gains", "share", "instants"])
def test_a_region_of_nearly_no_mass_still_gives_draws_inside(name: str) -> None:
    family, parameters = random_parameters(name, 50)
    assert isinstance(family, NumericFamily)
    far = float(COLUMNS[name].inverse(np.array(6.0)))  # type: ignore[attr-defined]
    high = family.column.high
    region = Region((Interval(min(far, high if high is not None else far), np.inf),))
    drawn = family.sample_in(parameters, region, torch.linspace(0, 0.999, 50))
    assert region.contains(drawn).all()


@settings(max_examples=30)
@given(regions())
def test_masses_of_a_region_and_its_complement_add_up(region: Region) -> None:
    for name in ("stars", "real, holes", "rare levels", "binary of texts, missing", "price"):
        family, parameters = random_parameters(name, 3)
        both = family.mass(parameters, region) + family.mass(parameters, region.complement())
        assert torch.allclose(both.double(), torch.ones(3, dtype=torch.float64), atol=1e-5)
