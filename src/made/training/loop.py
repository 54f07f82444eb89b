"""The one training loop: minimise E_x E_pi -log q(x | pi) over minibatches.

Knows a model, rows, options, a budget. Knows nothing of files' formats, tables or what
becomes of the model afterwards.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from made.ensemble import Ensemble
from made.errors import DivergedError
from made.model import Model
from made.orderings import Connectivity
from made.progress import NoProgress, Progress
from made.training.checkpoint import Checkpoint, save_checkpoint
from made.training.options import Budget, TrainingOptions
from made.training.state import Epoch, Position, TrainingState
from made.training.step import TrainingStep
from made.uniforms import SHUFFLING, generator

_STEADY_FRACTION = 0.8
_VALIDATION_SHARE = 0.25


@dataclass(frozen=True)
class TrainingResult:
    """The best averaged weights, the members that were validated, and how it went.

    ``stopped`` is True if Ctrl-C ended the run.
    """

    model: Model
    members: list[Connectivity]
    position: Position
    stopped: bool


class Trainer:
    """Trains a model until patience or the budget ends; can stop and go on at any step.

    Parameters
    ----------
    model : Model
        Initialised; its weights are trained in place.
    train, valid : Tensor, shape (n_rows, n_columns)
    options : TrainingOptions
    budget : Budget
    """

    def __init__(
        self,
        model: Model,
        train: Tensor,
        valid: Tensor,
        options: TrainingOptions,
        budget: Budget,
        *,
        on_epoch: Callable[[Epoch], None] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.options = options
        self.budget = budget
        self.train = train
        self.valid = valid
        self.position = Position()
        self.state = TrainingState(model, options)
        source = model.connectivity_source(options.seed, options.n_orderings)
        self.members = source.members(options.members)
        self.steps_per_epoch = max(1, round(len(train) / options.batch_size))
        self._validation = Ensemble(self.state.average, self.members[: options.validation_members])
        # Scoring a row costs a third of training on it. Where the validation rows and members
        # are many and the training rows few, not every epoch is validated.
        cost = len(valid) * self._validation.n_members / (3 * len(train))
        self.validate_every = max(1, round(cost / _VALIDATION_SHARE))
        self._validation_seconds = 0.0
        self._on_epoch = on_epoch or (lambda epoch: None)
        self._progress = progress or NoProgress()
        self._batches: tuple[int, list[np.ndarray]] = (-1, [])
        self._pending = torch.zeros((), dtype=torch.float64, device=train.device)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint``."""
        self.state.restore(checkpoint.current)
        self.state.best = checkpoint.best
        self.position = checkpoint.position
        self.budget.used_seconds += checkpoint.position.seconds

    def run(
        self,
        checkpoint: Path | None = None,
        run: dict[str, Any] | None = None,
        checkpoint_every: float = 30.0,
    ) -> TrainingResult:
        """Train to the end.

        Parameters
        ----------
        checkpoint : Path, optional
            Where the run is saved now and then, and when it is stopped.
        run : dict, optional
            What identifies the run; stored in the checkpoint.
        checkpoint_every : float
            Seconds between two checkpoints.

        Returns
        -------
        TrainingResult
            Also after Ctrl-C: with the best weights so far, and the checkpoint written.
        """
        take_step = TrainingStep(self.state, self.options)
        saved_at = time.monotonic()
        with _interruptible() as was_stopped:
            while not was_stopped() and self._advance_phase():
                self._one_step(take_step)
                if checkpoint is not None and time.monotonic() - saved_at >= checkpoint_every:
                    self._save(checkpoint, run)
                    saved_at = time.monotonic()
            stopped = was_stopped()
            if stopped and checkpoint is not None:
                self._save(checkpoint, run)
        if self.state.best is None:
            self._validate()
        assert self.state.best is not None
        self.state.restore(self.state.best)
        self.position.seconds = self.budget.elapsed()
        return TrainingResult(self.state.average, self.members, self.position, stopped)

    @property
    def _epoch(self) -> float:
        return self.position.step / self.steps_per_epoch

    def _decay_progress(self) -> float:
        """Return how much of the final decay is done, by the budget or by epochs."""
        position = self.position
        left = 1 - position.decay_start_used
        by_budget = (self._used() - position.decay_start_used) / left if left > 0 else 1.0
        # A quarter of the steady epochs: the last fifth of the whole.
        length = max(position.decay_start_epoch / 4, 1.0)
        return max(by_budget, (self._epoch - position.decay_start_epoch) / length)

    def _used(self) -> float:
        return self.budget.used(self._epoch, self._validation_seconds)

    def _advance_phase(self) -> bool:
        """Move from steady to decay to done as the budget asks; return whether to go on."""
        position = self.position
        limit = _STEADY_FRACTION if self.options.schedule == "decay" else 1.0
        may_end = position.step > 0 or self.budget.max_epochs == 0
        if position.phase == "steady" and may_end and self._used() >= limit:
            self._leave_steady()
        if position.phase == "decay" and self._decay_progress() >= 1:
            position.phase = "done"
        if position.phase == "done" and position.validated_step != position.step:
            self._validate()
        return position.phase != "done"

    def _leave_steady(self) -> None:
        """Turn to the end: decay from the best weights, or stop, as the schedule says."""
        position = self.position
        if position.validated_step != position.step:
            self._validate()
        if self.options.schedule == "constant":
            position.phase = "done"
            return
        if self.state.best is not None:
            self.state.restore(self.state.best)
        position.phase = "decay"
        position.decay_start_epoch = self._epoch
        position.decay_start_used = self._used()

    def _out_of_patience(self) -> bool:
        patience = max(self.options.patience, 3 * self.validate_every)
        return self._epoch - self.position.best_epoch >= patience

    def _one_step(self, take_step: TrainingStep) -> None:
        position = self.position
        epoch, place = divmod(position.step, self.steps_per_epoch)
        if self._batches[0] != epoch:
            shuffled = generator(self.options.seed, SHUFFLING, epoch).permutation(len(self.train))
            self._batches = (epoch, np.array_split(shuffled, self.steps_per_epoch))
        rows = self.train[torch.as_tensor(self._batches[1][place], device=self.train.device)]
        rows = rows.to(torch.float32)
        multiplier = min(1.0, (position.step + 1) / max(self.options.warm_up, 1))
        if position.phase == "decay":
            multiplier *= max(1 - self._decay_progress(), 0.0)
        log_prob = take_step(position.step, rows, multiplier)
        self.state.update_average(position.step)
        self._count(log_prob, len(rows))
        position.step += 1
        if place + 1 == self.steps_per_epoch:
            self._end_epoch(epoch + 1)

    def _count(self, log_prob: Tensor, n_rows: int) -> None:
        # Added up on the device: reading the number at every step would wait for it.
        self._pending = self._pending + log_prob.double()
        self.position.train_rows += n_rows

    def _take_train_mean(self) -> float:
        """Return the mean training log-prob since the last call, and start anew."""
        self._settle_count()
        mean = self.position.train_sum / max(self.position.train_rows, 1)
        self.position.train_sum, self.position.train_rows = 0.0, 0
        return mean

    def _settle_count(self) -> None:
        self.position.train_sum += float(self._pending)
        self._pending = torch.zeros_like(self._pending)

    def _end_epoch(self, epoch: int) -> None:
        if epoch % self.validate_every == 0:
            self._validate()
        else:
            self._record(None)
        steady = self.position.phase == "steady"
        if steady and self._out_of_patience():
            self._leave_steady()

    def _validate(self) -> None:
        """Score the validation rows with the averaged weights and keep them if they are best."""
        started = time.monotonic()
        self.state.settle_average()
        validation = float(self._validation.log_prob(self.valid).mean())
        self._validation_seconds = time.monotonic() - started
        position = self.position
        position.validated_step = position.step
        if np.isfinite(validation):
            if position.best_validation is None or validation > position.best_validation:
                position.best_validation = validation
                position.best_epoch = -(-position.step // self.steps_per_epoch)
                self.state.best = self.state.snapshot()
        elif self.state.best is None:
            raise DivergedError(
                f"Training diverged in epoch {int(self._epoch)}: the validation rows score "
                f"{validation}. Use a smaller learning_rate than "
                f"{self.options.learning_rate:g}."
            )
        elif position.phase == "steady":
            self._leave_steady()
        else:
            position.phase = "done"
        self._record(validation if np.isfinite(validation) else None)

    def _record(self, validation: float | None) -> None:
        position = self.position
        number = -(-position.step // self.steps_per_epoch)
        seconds = round(self.budget.elapsed(), 3)
        line = Epoch(number, self._take_train_mean(), validation, seconds)
        position.history.append(line)
        best = position.best_validation
        note = f"epoch {number}  train {line.train:.3f}" + (
            f"  validation {best:.3f}" if best is not None else ""
        )
        self._progress.update(min(self._used(), 1.0), 1.0, note)
        self._on_epoch(line)

    def _save(self, path: Path, run: dict[str, Any] | None) -> None:
        self._settle_count()
        self.position.seconds = self.budget.elapsed()
        save_checkpoint(path, run or {}, self.position, self.state)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, so that a step is never cut in half.

    A second Ctrl-C interrupts at once. Outside the main thread signals cannot be caught, and
    nothing changes.
    """
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    previous = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: object) -> None:
        del frame
        caught.append(number)
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, previous)
