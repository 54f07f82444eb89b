"""What layers do beside products: dropped units."""

from __future__ import annotations

import pytest
import torch

from made.network.layers import dropout


def drawn(inputs: torch.Tensor, fraction: float, seed: int = 0) -> torch.Tensor:
    return dropout(inputs, fraction, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.7])
def test_units_are_dropped_as_often_as_asked_and_the_rest_is_scaled(fraction: float) -> None:
    found = drawn(torch.ones(997, 1001), fraction)
    assert float((found == 0).float().mean()) == pytest.approx(fraction, abs=2e-3)
    assert float(found.mean()) == pytest.approx(1.0, abs=5e-3)
    assert found[found > 0].unique().tolist() == pytest.approx([1 / (1 - fraction)], rel=1e-4)


def test_units_are_dropped_apart_from_each_other() -> None:
    zero = (drawn(torch.ones(40_000, 8), 0.5) == 0).double()
    correlations = torch.corrcoef(zero.T) - torch.eye(8)
    # Four bits of a unit's sixteen neighbours come from one word: none may say anything of it.
    assert float(correlations.abs().max()) < 5 / 40_000**0.5
    assert zero.unique(dim=0).shape == (256, 8)


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 5)])
def test_shapes_and_layouts(shape: tuple[int, int]) -> None:
    inputs = torch.ones(shape)
    assert drawn(inputs, 0.5).shape == shape
    turned = torch.ones(shape[::-1]).t()
    found = drawn(turned, 0.5)
    assert found.shape == shape
    assert torch.equal(found, drawn(turned, 0.5))
    # Of nothing, torch keeps no layout.
    assert found.stride() == turned.stride() or not found.numel()


def test_the_smallest_and_the_largest_fraction_leave_something() -> None:
    assert 0 < int((drawn(torch.ones(1000, 1000), 1e-9) == 0).sum()) < 100
    assert 0 < int((drawn(torch.ones(1000, 1000), 1 - 1e-9) > 0).sum()) < 100


def test_without_a_generator_nothing_is_dropped() -> None:
    inputs = torch.ones(3, 4)
    assert dropout(inputs, 0.5, None) is inputs
    assert drawn(inputs, 0.0) is inputs


def test_gradients_flow_through_what_is_kept() -> None:
    inputs = torch.ones(50, 40, requires_grad=True)
    found = drawn(inputs, 0.3)
    found.sum().backward()
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, found.detach())
