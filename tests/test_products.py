"""The blocked products against dense masks: outputs and every gradient."""

import numpy as np
import pytest
import torch

import made.network.autoencoder as autoencoder
import made.network.triangular as triangular
from cases import NETWORKS, random_model
from made.blocks import triangle
from made.model import Model
from made.orderings import Connectivity
from made.training.options import TrainingOptions
from made.training.state import TrainingState


def gradients(model: Model) -> dict[str, torch.Tensor]:
    return {
        name: torch.zeros_like(value) if value.grad is None else value.grad.clone()
        for name, value in model.named_parameters()
    }


@pytest.fixture(params=["few rows, small", "many rows, large"])
def layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows of small matrices are laid out and moved otherwise than many of large ones."""
    if request.param == "many rows, large":
        monkeypatch.setattr(triangular, "_ROWS_SIDE_BY_SIDE", 1)
        monkeypatch.setattr(triangular, "_LARGE_MATRIX", 1)


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("n_blocks", [1, 3, 16])
@pytest.mark.parametrize("n_columns", [1, 2, 12])
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_and_gradients_equal_those_of_dense_masks(
    name: str, n_columns: int, n_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "_n_blocks", lambda n_products: n_blocks)
    model = random_model(n_columns, **NETWORKS[name])
    rows = (torch.rand(17, n_columns, generator=torch.Generator().manual_seed(5)) < 0.5).float()
    source = model.connectivity_source(seed=2, n_orderings=None)
    connectivities = [source.training(index) for index in range(4)]
    # An ordering that is sorted already takes another path through the gradients.
    connectivities.insert(2, Connectivity(np.arange(n_columns), source.training(0).hidden_degrees))
    expected = []
    for connectivity in connectivities:
        model.zero_grad()
        outputs = model(rows, model.network.wire(connectivity))
        outputs.sum().backward()
        expected.append((outputs.detach(), gradients(model)))
    state = TrainingState(model, TrainingOptions())
    wiring, triangles = None, None
    for connectivity, (outputs, dense) in zip(connectivities, expected, strict=True):
        triangles = model.network.triangles(connectivity, len(rows), triangles)
        wiring = model.network.wire_triangular(connectivity, triangles, wiring)
        state.gradients[1].zero_()
        found = model(rows, wiring)
        found.sum().backward()
        torch.testing.assert_close(found.detach(), outputs, atol=1e-4, rtol=1e-4)
        for name_of, gradient in gradients(model).items():
            torch.testing.assert_close(gradient, dense[name_of], atol=1e-3, rtol=1e-3)


@torch.no_grad()
@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_prepared_blocks_score_as_dense_masks_do(
    name: str, n_blocks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "_n_blocks", lambda n_products: n_blocks)
    model = random_model(12, **NETWORKS[name])
    rows = (torch.rand(17, 12, generator=torch.Generator().manual_seed(5)) < 0.5).float()
    source = model.connectivity_source(seed=2, n_orderings=None)
    wiring = None
    for connectivity in source.members(3):
        expected = model.log_prob(rows, model.network.wire(connectivity))
        wiring = model.network.wire_prepared(connectivity, len(rows), wiring)
        for _ in range(2):
            torch.testing.assert_close(model.log_prob(rows, wiring), expected, atol=1e-4, rtol=0)


def test_half_of_the_products_are_skipped() -> None:
    degrees_in, degrees_out = np.arange(1, 1001), np.sort(np.arange(1000) % 999 + 1)
    blocks = triangle(degrees_out, degrees_in, 16, strict=False)
    assert blocks.n_products < 0.54 * 1000 * 1000
    assert triangle(degrees_out, degrees_in, 1, strict=False).n_products > 0.99 * 1000 * 1000


def test_blocks_of_an_equal_matrix_are_taken_over() -> None:
    random = np.random.default_rng(0)
    hidden = np.sort(random.integers(1, 30, size=50))
    first = triangle(hidden, random.permutation(30) + 1, 4, strict=False)
    again = triangle(hidden, random.permutation(30) + 1, 4, strict=False, before=first)
    other = triangle(np.sort(hidden) // 2 + 1, hidden, 4, strict=False, before=first)
    assert again.blocks is first.blocks
    assert other.blocks is not first.blocks
