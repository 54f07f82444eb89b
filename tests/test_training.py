"""The training loop: phases, patience, budgets, divergence, the average, what it tells.

Where the course of a run matters and the weights do not, a step is faked that adds one to every
weight (so that weights tell the step) and validation scores are read from a list.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from cases import binary_columns
from made.ensemble import Ensemble
from made.errors import DivergedError
from made.model import Model
from made.network.config import NetworkConfig
from made.training import loop
from made.training.loop import Trainer
from made.training.options import Budget, TrainingOptions
from made.training.state import Epoch, TrainingState

N_STEPS = 5  # steps an epoch, below


def rows(n_rows: int, n_columns: int = 6, seed: int = 0) -> torch.Tensor:
    """Return rows in which every column copies the first, but for a fifth of the cells."""
    random = torch.Generator().manual_seed(seed)
    first = torch.randint(2, (n_rows, 1), generator=random)
    noise = (torch.rand(n_rows, n_columns, generator=random) < 0.2).long()
    return (first ^ noise).to(torch.uint8)


def trainer(
    max_epochs: int | None = 10,
    *,
    max_seconds: float | None = None,
    network: dict[str, Any] | None = None,
    valid: torch.Tensor | None = None,
    n_columns: int = 6,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Any = None,
    **options: Any,
) -> Trainer:
    config: dict[str, Any] = {"hidden": (8,)} | (network or {})
    model = Model(binary_columns(n_columns), NetworkConfig(**config))
    train = rows(50, n_columns)
    model.initialize(0, train)
    chosen: dict[str, Any] = {"members": 2, "batch_size": 10, "warm_up": 0} | options
    return Trainer(
        model,
        train,
        rows(12, n_columns, seed=1) if valid is None else valid,
        TrainingOptions(**chosen),
        Budget(max_seconds, max_epochs),
        on_epoch=on_epoch,
        progress=progress,
    )


@dataclass
class Course:
    """What the faked steps of a run saw."""

    multipliers: list[float] = field(default_factory=list)
    first_weights: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    n_members = 2

    def log_prob(self, values: torch.Tensor) -> np.ndarray:
        return np.array([self.scores.pop(0)] * len(values))


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Course:
    course = Course()

    class FakeStep:
        def __init__(self, state: TrainingState, *_: object) -> None:
            self._state = state

        def __call__(self, step: int, rows: torch.Tensor, multiplier: float) -> torch.Tensor:
            del step
            course.multipliers.append(multiplier)
            course.first_weights.append(first_weight(self._state))
            for run in self._state.weights:
                run.data.add_(1)
            return torch.tensor(-2.0 * len(rows))

    monkeypatch.setattr(loop, "TrainingStep", FakeStep)
    return course


def scripted(course: Course, scores: list[float], **options: Any) -> Trainer:
    course.scores = scores
    chosen: dict[str, Any] = {"average_decay": 0.0} | options
    run = trainer(**chosen)
    run._validation = course  # type: ignore[assignment]
    return run


def first_weight(state: TrainingState) -> float:
    return float(state.weights[0].detach()[0])


@pytest.mark.parametrize("max_epochs", [1, 2, 3, 7])
@pytest.mark.parametrize("schedule", ["decay", "constant"])
def test_max_epochs_is_exact(max_epochs: int, schedule: str) -> None:
    seen: list[Epoch] = []
    run = trainer(max_epochs, schedule=schedule, on_epoch=seen.append)
    result = run.run()
    assert result.position.step == max_epochs * N_STEPS
    assert [line.epoch for line in seen] == list(range(1, max_epochs + 1))
    assert result.position.history == seen
    assert all(line.validation is not None and line.train is not None for line in seen)
    assert not result.stopped


def test_no_epochs_give_the_model_as_it_began() -> None:
    run = trainer(0)
    before = [run_.clone() for run_ in run.state.weights]
    result = run.run()
    assert result.position.step == 0
    assert [(line.epoch, line.train) for line in result.position.history] == [(0, None)]
    after = torch.cat([p.flatten() for p in result.model.parameters() if p.ndim > 1])
    assert torch.equal(after, before[0])


def test_warm_up_and_decay_of_the_learning_rate(course: Course) -> None:
    scripted(course, [float(n) for n in range(10)], warm_up=4, patience=3).run()
    assert course.multipliers[:4] == [0.25, 0.5, 0.75, 1.0]
    assert course.multipliers[4:41] == [1.0] * 37
    # After 8 of 10 epochs, in a straight line towards zero, which is never used.
    np.testing.assert_allclose(course.multipliers[41:], np.arange(9, 0, -1) / 10)


def test_patience_ends_a_constant_schedule(course: Course) -> None:
    # The look-ahead bridges two worse epochs after the third, and no three after the sixth.
    run = scripted(course, [1, 2, 3, 2, 2, 5, 4, 4, 4, 9], schedule="constant", patience=3)
    start = first_weight(run.state)
    result = run.run()
    assert len(result.position.history) == 9
    assert (result.position.best_epoch, result.position.best_validation) == (6, 5)
    assert course.multipliers == [1.0] * 9 * N_STEPS
    kept = next(p for p in result.model.parameters() if p.ndim > 1)
    assert float(kept.flatten()[0]) == pytest.approx(start + 6 * N_STEPS)


def test_patience_turns_to_a_decay_from_the_best_weights(course: Course) -> None:
    scores = [1, 2, 3, 2, 2, 5, 4, 4, 4, *[4.0] * 3]
    run = scripted(course, scores, max_epochs=1000, patience=3)
    start = first_weight(run.state)
    run.run()
    steady = 9 * N_STEPS
    assert course.first_weights[steady] == pytest.approx(start + 6 * N_STEPS)
    # A quarter of the nine epochs: 11.25 steps, and the rate falls at each.
    decay = course.multipliers[steady:]
    np.testing.assert_allclose(decay, 1 - np.arange(len(decay)) / 11.25)
    assert len(decay) == 12


def test_a_larger_budget_than_before_does_not_raise_the_learning_rate(course: Course) -> None:
    run = scripted(course, [float(n) for n in range(30)], max_epochs=20)
    # As resumed from a run of ten epochs that had begun to decay.
    run.position.phase, run.position.step = "decay", 8 * N_STEPS
    run.position.decay_start_epoch, run.position.decay_start_used = 8.0, 0.8
    result = run.run()
    assert result.position.step == 20 * N_STEPS
    assert course.multipliers[: 8 * N_STEPS + 1] == [1.0] * (8 * N_STEPS + 1)
    np.testing.assert_allclose(course.multipliers[8 * N_STEPS :], np.arange(20, 0, -1) / 20)


def test_an_improvement_while_decaying_is_kept(course: Course) -> None:
    scores = [1, 2, 3, 2, 2, 5, 4, 4, 4, 4, 6, 5.0]
    result = scripted(course, scores, max_epochs=1000, patience=3).run()
    assert (result.position.best_epoch, result.position.best_validation) == (11, 6)


@pytest.mark.parametrize("n_valid", [12, 200, 5000])
@pytest.mark.parametrize("patience", [1, 2, 7])
def test_every_epoch_has_one_line_however_rarely_it_is_validated(
    course: Course, n_valid: int, patience: int
) -> None:
    seen: list[Epoch] = []
    run = scripted(
        course,
        [1, 2, *[0.0] * 98],
        valid=rows(n_valid),
        patience=patience,
        on_epoch=seen.append,
        max_epochs=50,
    )
    history = run.run().position.history
    assert [line.epoch for line in history] == list(range(1, len(history) + 1))
    assert seen == history
    assert {line.train for line in history} == {-2.0}
    # Validation takes a share of the time, but never so little that patience would not hold.
    assert run.validate_every == min(max(1, round(n_valid * 2 / 37.5)), max(1, patience // 3))
    assert history[-1].validation is not None


def test_training_improves_and_returns_its_best() -> None:
    result = trainer(30, learning_rate=0.02, average_decay=0.9).run()
    history = [line.validation for line in result.position.history]
    scores = [score for score in history if score is not None]
    assert max(scores) == result.position.best_validation
    assert history.index(max(scores)) + 1 == result.position.best_epoch
    assert max(scores) > scores[0] + 0.1


@pytest.mark.parametrize("n_orderings", [None, 1, 3])
@pytest.mark.parametrize("validation_members", [None, 1, 99])
def test_validation_rows_are_scored_under_the_same_connectivities(
    n_orderings: int | None, validation_members: int | None
) -> None:
    run = trainer(3, members=4, n_orderings=n_orderings, validation_members=validation_members)
    result = run.run()
    source = result.model.connectivity_source(0, n_orderings)
    expected = source.members(4)
    assert [m.order.tolist() for m in result.members] == [m.order.tolist() for m in expected]
    # The weights that came back score what the loop noted when it kept them.
    score = Ensemble.mixture(result.model, expected[:validation_members]).log_prob(rows(12, seed=1))
    assert float(score.mean()) == result.position.best_validation


DEEP = {"network": {"hidden": (8,) * 20, "activation": "softplus"}, "clip_norm": 0.0}


def test_divergence_before_a_good_validation_is_an_error() -> None:
    run = trainer(learning_rate=1000.0, average_decay=0.0, **DEEP)
    with pytest.raises(DivergedError) as caught:
        run.run()
    assert str(caught.value) == (
        "Training diverged in epoch 1: the validation rows score nan. Use a smaller learning_rate "
        "than 1000."
    )


def test_divergence_later_falls_back_to_the_best(course: Course) -> None:
    nan = float("nan")
    run = scripted(course, [1, 3, nan, 2, nan], max_epochs=100)
    start = first_weight(run.state)
    result = run.run()
    # Back to epoch 2 and decay; when that diverges too, the end.
    assert course.first_weights[3 * N_STEPS] == pytest.approx(start + 2 * N_STEPS)
    assert (result.position.best_epoch, result.position.best_validation) == (2, 3)
    validations = [line.validation for line in result.position.history]
    assert validations in ([1, 3, None, 2], [1, 3, None, 2, None])


def test_weights_that_diverged_leave_no_number_in_the_history() -> None:
    run = trainer(20, learning_rate=1000.0, warm_up=10**6, **DEEP)
    options: dict[str, Any] = run.options.to_json() | {"warm_up": 1}

    def grow(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            run.options = TrainingOptions(**options)

    run._on_epoch = grow
    result = run.run()
    assert result.position.best_epoch <= 3
    lines = result.position.history
    assert lines[2].validation is None or lines[3].validation is None
    assert all(line.train is None or np.isfinite(line.train) for line in lines)
    assert all(torch.isfinite(p).all() for p in result.model.parameters())


@pytest.mark.parametrize("seconds", [0.0, 0.2, 1.0])
def test_a_budget_of_time_is_kept(seconds: float) -> None:
    trainer(1).run()  # Fabric is imported.
    started = time.monotonic()
    run = trainer(None, max_seconds=seconds, patience=10**9)
    result = run.run()
    taken = time.monotonic() - started
    assert 0.7 * seconds <= taken <= seconds + 1.5
    assert result.position.step >= 1
    epochs = [line.epoch for line in result.position.history]
    assert epochs == list(range(1, len(epochs) + 1))
    assert result.position.seconds == pytest.approx(taken, abs=0.3)


@dataclass
class Watch:
    seen: list[tuple[float, float, str]] = field(default_factory=list)

    def update(self, done: float, total: float, note: str = "") -> None:
        self.seen.append((done, total, note))


def test_progress_is_told(course: Course) -> None:
    watch = Watch()
    scripted(course, [-9, -8, -8.5, -8, -8], max_epochs=5, progress=watch).run()
    # Before the first step, and after every epoch.
    assert [done for done, _, _ in watch.seen] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert {total for _, total, _ in watch.seen} == {1.0}
    assert watch.seen[3][2] == "epoch 3  train -2.000  validation -8.000"


def test_a_decay_that_starts_within_an_epoch_adds_no_line(course: Course) -> None:
    seen: list[Epoch] = []
    # Four fifths of four epochs: after step 16 the weights are scored, better than ever after.
    scores = [1, 2, 3, 9, 4.0]
    result = scripted(course, scores, max_epochs=4, on_epoch=seen.append).run()
    assert [(line.epoch, line.validation) for line in seen] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert (result.position.best_epoch, result.position.best_validation) == (4, 9)
