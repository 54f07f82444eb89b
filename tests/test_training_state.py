"""What training is made of: one step, the average of the weights, their two runs of memory."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch

from made.errors import CheckpointError
from made.training.state import AVERAGE_EVERY
from made.training.step import TrainingStep
from test_training import N_STEPS, rows, trainer


def test_the_learning_rate_of_a_step() -> None:
    run = trainer(learning_rate=0.02)
    step = TrainingStep(run.state, run.options)
    step(0, rows(10).float(), multiplier=0.25)
    assert {group["lr"] for group in run.state.optimizer.param_groups} == {0.005}


def test_the_average_follows_the_weights() -> None:
    run = trainer(average_decay=0.9)
    expected = run.state.weights[0].detach().double()
    for step in range(100):
        run.state.weights[0].data.normal_(generator=torch.Generator().manual_seed(step))
        run.state.update_average(step)
        if (step + 1) % AVERAGE_EVERY == 0:
            decay = min(0.9, (1 + step) / (10 + step)) ** AVERAGE_EVERY
            expected = decay * expected + (1 - decay) * run.state.weights[0].detach().double()
    average = torch.cat([p.flatten() for p in run.state.average.parameters() if p.ndim > 1])
    torch.testing.assert_close(average.double(), expected, atol=1e-6, rtol=1e-5)


def test_without_an_average_the_weights_themselves_are_kept() -> None:
    run = trainer(2, average_decay=0.0)
    run.run()
    for trained, kept in zip(run.state.model.parameters(), run.state.average.parameters(),
                             strict=True):  # fmt: skip
        assert torch.equal(trained, kept)
        assert trained.data_ptr() != kept.data_ptr()


def test_parameters_are_views_of_two_runs() -> None:
    state = trainer().state
    assert sum(p.numel() for p in state.model.parameters()) == sum(r.numel() for r in state.weights)
    for run in state.weights:
        run.data.fill_(7)
    assert all(bool((p == 7).all()) for p in state.model.parameters())
    for gradient in state.gradients:
        gradient.fill_(3)
    assert all(p.grad is not None and bool((p.grad == 3).all()) for p in state.model.parameters())


def test_only_matrices_decay() -> None:
    groups = trainer(weight_decay=0.3).state.optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]


@pytest.mark.parametrize("clip_norm", [0.0, 1e-3, 1e6])
def test_long_gradients_are_shortened(clip_norm: float) -> None:
    run = trainer(clip_norm=clip_norm)
    step = TrainingStep(run.state, run.options)
    step(0, rows(10).float())
    norm = float(torch.cat([g.flatten() for g in run.state.gradients]).norm())
    if clip_norm == 1e-3:
        assert norm == pytest.approx(1e-3, rel=1e-3)
    else:
        assert norm > 0.01


def test_a_snapshot_of_another_network_is_refused() -> None:
    small, large = trainer().state, trainer(network={"hidden": (9,)}).state
    with pytest.raises(CheckpointError, match="does not fit the model"):
        large.restore(small.snapshot())


@pytest.mark.parametrize(
    ("n_columns", "network", "options"),
    [
        (1, {}, {}),
        (2, {"hidden": ()}, {}),
        (6, {"hidden": (), "direct_input": False}, {}),
        (6, {"hidden": (3, 3), "residual": True, "normalization": "cumulative_rms"}, {}),
        (6, {"hidden_degrees": "redrawn"}, {"n_orderings": 300}),
        (6, {}, {"batch_size": 1000}),
        (6, {}, {"batch_size": 1, "n_orderings": 1}),
        (6, {}, {"precision": "bf16-mixed"}),
    ],
)
def test_odd_sizes_train(n_columns: int, network: dict[str, Any], options: dict[str, Any]) -> None:
    result = trainer(2, network=network, n_columns=n_columns, **options).run()
    best = result.position.best_validation
    assert best is not None
    assert -n_columns < best < 0


def test_training_works_outside_the_main_thread() -> None:
    results = []
    thread = threading.Thread(target=lambda: results.append(trainer(2).run()))
    thread.start()
    thread.join(60)
    assert results[0].position.step == 2 * N_STEPS
