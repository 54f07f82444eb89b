"""Scoring cells: values and codes, alone and stacked, float32 and float64, with gradients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import COLUMNS
from made.columns import CategoricalColumn, Column, NumericColumn
from made.conditionals import ConditionalFamily, Stack, family_of

EXAMPLES = settings(max_examples=6, deadline=None, derandomize=True)
SIZES = st.sampled_from([0.3, 3.0, 1e4])
SEEDS = st.integers(0, 10**6)


def cells_of(column: Column) -> np.ndarray:
    """Return usual, rare, missing, unseen, far and impossible cells of a column."""
    if not isinstance(column, NumericColumn):
        assert column.outcomes is not None
        return column.outcomes
    inside = [*column.knots, *column.atoms]
    far = [1e3, -1e3, 1e18, -1e18, 1e307, -1e307]
    limits = [end for end in (column.low, column.high) if end is not None]
    cells = [*inside, *far, *limits, math.inf, -math.inf, math.nan]
    return np.array(cells) if not column.discrete else np.round(cells)


def stack_of(families: list[ConditionalFamily]) -> tuple[Stack, list[slice], list[slice]]:
    """Return a stack of families, whose outputs and codes stand one after the other."""
    outputs = spans_of([family.n_parameters for family in families])
    codes = spans_of([family.column.n_codes for family in families])
    return Stack(families, outputs, codes), outputs, codes


def spans_of(widths: list[int]) -> list[slice]:
    ends = np.cumsum(widths).tolist()
    return [slice(end - width, end) for end, width in zip(ends, widths, strict=True)]


@pytest.fixture(params=COLUMNS)
def family(request: pytest.FixtureRequest) -> ConditionalFamily:
    return family_of(COLUMNS[request.param])


def rows_of(family: ConditionalFamily, size: float, seed: int, n_rows: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return size * torch.randn((n_rows, family.n_parameters), generator=random, dtype=torch.float64)


@EXAMPLES
@given(size=SIZES, seed=SEEDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_gradients_are_finite_for_every_cell(name: str, size: float, seed: int) -> None:
    family = family_of(COLUMNS[name])
    cells = torch.as_tensor(cells_of(family.column))
    for dtype in (torch.float32, torch.float64):
        parameters = rows_of(family, size, seed, len(cells)).to(dtype).requires_grad_()
        scores = family.log_prob(parameters, cells)
        is_bernoulli_hole = torch.isnan(cells) & (family.name == "bernoulli")
        assert not torch.isnan(scores[~is_bernoulli_hole]).any()
        assert not torch.isposinf(scores).any()
        if scores.requires_grad:
            # What cannot be has the log-probability -inf, and moves nothing.
            (gradient,) = torch.autograd.grad(scores.sum(), parameters)
            assert torch.isfinite(gradient).all()


@EXAMPLES
@given(seed=SEEDS)
@pytest.mark.parametrize("name", COLUMNS)
def test_float32_is_close_to_float64(name: str, seed: int) -> None:
    family = family_of(COLUMNS[name])
    cells = torch.as_tensor(cells_of(family.column))
    parameters = rows_of(family, 1.0, seed, len(cells)).float()
    single = family.log_prob(parameters, cells).double()
    double = family.log_prob(parameters.double(), cells)
    same = single == double
    # Of some 1e4 scales, float32 keeps 1e-3.
    assert (same | ((single - double).abs() <= 1e-4 + 1e-6 * double.abs())).all()


def test_values_and_codes_score_alike(family: ConditionalFamily) -> None:
    cells = cells_of(family.column)
    parameters = rows_of(family, 2.0, 0, len(cells))
    codes = torch.as_tensor(family.column.codes(cells, np.float64))
    by_codes = family.log_prob_of_codes(parameters, codes)
    assert torch.equal(family.log_prob(parameters, torch.as_tensor(cells)), by_codes)
    assert family.column.codes(cells).dtype == np.float32


@pytest.mark.parametrize("sort", ["bernoulli", "categorical", "continuous", "discrete"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_stack_scores_as_each_alone(sort: str, dtype: torch.dtype) -> None:
    families = [family_of(column) for column in COLUMNS.values()]
    families = [family for family in families if family.name == sort]
    stack, outputs, codes = stack_of(families)
    n_rows = 40
    random = np.random.default_rng(0)
    values = np.stack([random.choice(cells_of(f.column), n_rows) for f in families], axis=1)
    all_codes = torch.as_tensor(
        np.concatenate([f.column.codes(values[:, i]) for i, f in enumerate(families)], axis=1)
    ).to(dtype)
    generator = torch.Generator().manual_seed(1)
    table = torch.randn(n_rows, outputs[-1].stop + 3, generator=generator, dtype=dtype)
    table.requires_grad_()
    together = stack.log_prob(table, all_codes)
    alone = torch.stack(
        [
            family.log_prob_of_codes(table[:, own], all_codes[:, cells])
            for family, own, cells in zip(families, outputs, codes, strict=True)
        ],
        dim=1,
    )
    tolerance = 2e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(together, alone, rtol=tolerance, atol=tolerance)
    finite = torch.isfinite(together)
    (gradient,) = torch.autograd.grad(together[finite].sum(), table)
    (wanted,) = torch.autograd.grad(alone[finite].sum(), table)
    torch.testing.assert_close(gradient, wanted, rtol=100 * tolerance, atol=100 * tolerance)
    # Outputs of columns that are not in the stack get nothing.
    assert (gradient[:, -3:] == 0).all()


def test_no_rows(family: ConditionalFamily) -> None:
    parameters = torch.empty(0, family.n_parameters)
    values = torch.empty(0, dtype=torch.float64)
    assert family.log_prob(parameters, values).shape == (0,)
    assert family.sample(parameters, values).shape == (0,)
    assert family.cdf(parameters, values).shape == (0,)
    assert family.mode(parameters).shape == family.mean(parameters).shape == (0,)
    assert family.marginal_parameters(np.empty(0)).shape == (family.n_parameters,)


def test_rows_may_have_any_shape(family: ConditionalFamily) -> None:
    parameters = rows_of(family, 1.0, 2, 6)
    uniforms = torch.linspace(0.1, 0.8, 6, dtype=torch.float64)
    flat = family.sample(parameters, uniforms)
    shaped = parameters.view(2, 3, -1)
    assert torch.equal(
        family.sample(shaped, uniforms.view(2, 3)).nan_to_num(-7), flat.view(2, 3).nan_to_num(-7)
    )
    scores = family.log_prob(shaped, flat.view(2, 3))
    torch.testing.assert_close(
        scores.reshape(-1), family.log_prob(parameters, flat), equal_nan=True
    )
    assert family.mode(shaped).shape == family.mean(shaped).shape == (2, 3)


@pytest.mark.parametrize("name", [name for name, column in COLUMNS.items() if not column.missing])
def test_missing_scores_minus_infinity_where_it_cannot_be(name: str) -> None:
    family = family_of(COLUMNS[name])
    if family.name == "bernoulli":
        return
    parameters = rows_of(family, 1.0, 0, 1)
    assert family.log_prob(parameters, torch.tensor([math.nan])).item() == -math.inf


@pytest.mark.parametrize("name", COLUMNS)
def test_a_level_never_seen_scores_finite(name: str) -> None:
    column = COLUMNS[name]
    if not isinstance(column, CategoricalColumn):
        return
    family = family_of(column)
    unseen = torch.tensor([float(len(column.levels))])
    wanted = (sum(count == 1 for count in column.counts) + 1) / (column.n_rows + 2)
    for size in (1.0, 1e4):
        parameters = rows_of(family, size, 0, 1)
        assert family.log_prob(parameters, unseen).exp().item() == pytest.approx(wanted)
