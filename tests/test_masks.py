"""check_autoregressive and mask_autoencoder, on modules of users."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from made import check_autoregressive, mask_autoencoder
from made.errors import NotAutoregressiveError, OptionError, UnsupportedLayerError

ORDERING = [2, 0, 3, 1]


def autoencoder(n: int = 4, width: int = 16) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(n, width), nn.ReLU(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, n)
    )


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_a_masked_autoencoder_passes_and_a_plain_one_does_not() -> None:
    module = autoencoder()
    check_autoregressive(mask_autoencoder(module, ORDERING), ORDERING)
    with pytest.raises(NotAutoregressiveError, match="only on columns \\[2\\]"):
        check_autoregressive(module, ORDERING)


def test_the_first_forbidden_edge_is_named() -> None:
    module = nn.Linear(3, 3, bias=False)
    with torch.no_grad():
        module.weight.zero_()
        module.weight[1, 2] = 0.7
    check_autoregressive(module, [0, 2, 1])
    with pytest.raises(NotAutoregressiveError) as caught:
        check_autoregressive(module, [0, 1, 2])
    assert "Output 1 (column 1, step 1) depends on input 2 (column 2, step 2)" in str(caught.value)
    assert "only on columns [0]. 1 forbidden edge(s)" in str(caught.value)


def test_another_ordering_than_the_masked_one_is_found() -> None:
    made = mask_autoencoder(autoencoder(), ORDERING)
    with pytest.raises(NotAutoregressiveError):
        check_autoregressive(made, ORDERING[::-1])


@pytest.mark.parametrize("bias", [-1e6, -5.0])
def test_an_edge_behind_a_dead_relu_is_found(bias: float) -> None:
    made = mask_autoencoder(autoencoder(), ORDERING)

    class Planted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.made = made
            self.forbidden = nn.Linear(1, 1)
            nn.init.constant_(self.forbidden.weight, -1.0)
            nn.init.constant_(self.forbidden.bias, bias)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            outputs = self.made(rows)
            leak = torch.relu(self.forbidden(rows[:, 1:2]))
            return torch.cat([outputs[:, :2], outputs[:, 2:3] + leak, outputs[:, 3:]], dim=1)

    rows = torch.rand(50, 4)
    assert torch.equal(Planted()(rows), made(rows))
    with pytest.raises(NotAutoregressiveError, match=r"Output 2 .* depends on input 1 "):
        check_autoregressive(Planted(), ORDERING)


def test_masks_built_into_the_weights_are_accepted() -> None:
    made = mask_autoencoder(autoencoder(), ORDERING)
    module = copy.deepcopy(made.module)
    linears = [layer for layer in module if isinstance(layer, nn.Linear)]
    with torch.no_grad():
        for index, linear in enumerate(linears):
            linear.weight.mul_(made.get_buffer(f"mask_{index}"))
    check_autoregressive(module, ORDERING)


def test_the_check_changes_nothing() -> None:
    module = autoencoder()
    module.add_module("drop", nn.Dropout(0.5))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(NotAutoregressiveError):
        check_autoregressive(module, ORDERING)
    assert module.training
    assert module[0].weight.dtype == torch.float32
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_derivative_that_is_not_a_number_is_no_proof() -> None:
    class Broken(nn.Module):
        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            return rows * float("nan")

    with pytest.raises(NotAutoregressiveError):
        check_autoregressive(Broken(), [0, 1])


def test_several_inputs_and_parameters_a_column() -> None:
    module = nn.Sequential(nn.Linear(5, 30), nn.ELU(), nn.Linear(30, 6))
    columns: dict[str, Any] = {
        "input_columns": [0, 0, 0, 1, 2],
        "output_columns": [0, 1, 1, 1, 2, 2],
    }
    made = mask_autoencoder(module, [1, 2, 0], **columns)
    check_autoregressive(made, [1, 2, 0], **columns)
    with pytest.raises(OptionError, match="Pass input_columns"):
        mask_autoencoder(module, [1, 2, 0])
    with pytest.raises(OptionError, match="output_columns"):
        check_autoregressive(made, [1, 2, 0], input_columns=columns["input_columns"])


def test_parameters_are_shared_and_never_masked() -> None:
    module = autoencoder()
    made = mask_autoencoder(module, ORDERING)
    assert {id(p) for p in made.parameters()} == {id(p) for p in module.parameters()}
    weights = [p.clone() for p in module.parameters()]
    made(torch.rand(3, 4)).sum().backward()
    assert all(torch.equal(a, b) for a, b in zip(weights, module.parameters(), strict=True))
    assert all(p.grad is not None for p in module.parameters())


def test_nested_sequentials_are_taken_apart() -> None:
    encoder = nn.Sequential(nn.Linear(4, 9), nn.GELU())
    decoder = nn.Sequential(nn.Dropout(0.2), nn.Linear(9, 4))
    check_autoregressive(mask_autoencoder(nn.Sequential(encoder, decoder), ORDERING), ORDERING)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 12), width=st.integers(1, 20), seed=st.integers(0, 99))
def test_any_width_and_ordering(n: int, width: int, seed: int) -> None:
    ordering = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    made = mask_autoencoder(autoencoder(n, width), ordering, seed=seed)
    check_autoregressive(made, ordering)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.LayerNorm(16), "LayerNorm.*statistic of all units"),
        (nn.Softmax(dim=1), "Softmax.*sum over all units"),
        (nn.BatchNorm1d(16), "BatchNorm1d.*other rows"),
        (nn.Conv1d(1, 1, 3), "Conv1d.*not known"),
    ],
)
def test_a_layer_that_mixes_units_is_refused_by_name(layer: nn.Module, reason: str) -> None:
    module = nn.Sequential(nn.Linear(4, 16), layer, nn.Linear(16, 4))
    with pytest.raises(UnsupportedLayerError, match=f"Layer 1 \\({reason}"):
        mask_autoencoder(module, ORDERING)


def test_what_is_no_sequential_is_refused() -> None:
    with pytest.raises(UnsupportedLayerError, match=r"takes an nn\.Sequential, got Linear"):
        mask_autoencoder(nn.Linear(4, 4), ORDERING)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"no nn\.Linear"):
        mask_autoencoder(nn.Sequential(nn.ReLU()), ORDERING)
    with pytest.raises(OptionError, match="16 outputs is followed by one with 15"):
        mask_autoencoder(nn.Sequential(nn.Linear(4, 16), nn.Linear(15, 4)), ORDERING)


def test_one_column() -> None:
    made = mask_autoencoder(autoencoder(1), [0])
    check_autoregressive(made, [0])
    assert torch.equal(made(torch.zeros(1, 1)), made(torch.ones(1, 1)))
