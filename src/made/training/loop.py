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
        self.train = model.codes(train).to(model.device)
        self.valid = valid
        self.position = Position()
        self.state = TrainingState(model, options)
        source = model.connectivity_source(options.seed, options.n_orderings)
        self.members = source.members(options.members)
        self.steps_per_epoch = max(1, round(len(train) / options.batch_size))
        self.rows_per_step = -(-len(train) // self.steps_per_epoch)
        self._validation = Ensemble.mixture(
            self.state.average, self.members[: options.validation_members]
        )
        # Scoring a row costs a third of training on it. Where the validation rows and members
        # are many and the training rows few, not every epoch is validated; but thrice within the
        # patience, or it would count little.
        cost = len(valid) * self._validation.n_members / (3 * len(train))
        wanted = round(cost / _VALIDATION_SHARE)
        self.validate_every = max(1, min(wanted, options.patience // 3))
        self._seconds_to_close = 0.0
        self._last_validation: float | None = None
        self._on_epoch = on_epoch or (lambda epoch: None)
        self._progress = progress or NoProgress()
        self._batches: tuple[int, list[np.ndarray]] = (-1, [])
        self._pending = torch.zeros((), dtype=torch.float64, device=train.device)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from ``checkpoint``."""
        if checkpoint.best is not None:
            self.state.restore(checkpoint.best)  # It is found out now whether it fits.
        self.state.restore(checkpoint.current)
        self.state.best = checkpoint.best
        self.position = checkpoint.position
        self._pending.fill_(self.position.train_sum)
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
        take_step = TrainingStep(self.state, self.options, self.rows_per_step)
        saved_at = time.monotonic()
        self._progress.update(0.0, 1.0, "preparing (kernels are compiled once for a machine)")
        with _interruptible() as was_stopped:
            while not was_stopped() and self._advance_phase():
                self._one_step(take_step)
                if checkpoint is not None and time.monotonic() - saved_at >= checkpoint_every:
                    self.save(checkpoint, run)
                    saved_at = time.monotonic()
            stopped = was_stopped()
            if stopped and checkpoint is not None:
                self.save(checkpoint, run)
        if self.state.best is None:
            self._finish()
        assert self.state.best is not None
        self.state.restore(self.state.best)
        self.position.seconds = self.budget.elapsed()
        return TrainingResult(self.state.average, self.members, self.position, stopped)

    @property
    def _epoch(self) -> float:
        return self.position.step / self.steps_per_epoch

    @property
    def _epoch_number(self) -> int:
        """The epoch that is under way or has just ended, counted from 1."""
        return -(-self.position.step // self.steps_per_epoch)

    def _decay_progress(self) -> float:
        """Return how much of the final decay is done, by the budget or by epochs."""
        position = self.position
        left = 1 - position.decay_start_used
        by_budget = (self._used() - position.decay_start_used) / left if left > 0 else 1.0
        by_budget = max(by_budget, 0.0)  # The run may go on with a larger budget than it had.
        if position.decay_start_used >= _STEADY_FRACTION:
            return by_budget
        # Patience ended before the budget. A quarter of the steady epochs: the last fifth of the
        # whole.
        length = max(position.decay_start_epoch / 4, 1.0)
        return max(by_budget, (self._epoch - position.decay_start_epoch) / length)

    def _used(self) -> float:
        return self.budget.used(self._epoch, self._seconds_to_close)

    def _phase_is_over(self) -> bool:
        """Return whether the budget of the phase is used up."""
        if self.position.phase == "steady":
            limit = _STEADY_FRACTION if self.options.schedule == "decay" else 1.0
            return self._used() >= limit
        return self._decay_progress() >= 1

    def _advance_phase(self) -> bool:
        """Move from steady to decay to done as the budget asks; return whether to go on."""
        position = self.position
        may_end = position.step > 0 or self.budget.max_epochs == 0
        if position.phase == "steady" and may_end and self._phase_is_over():
            self._leave_steady()
        if position.phase == "decay" and self._phase_is_over():
            position.phase = "done"
        if position.phase == "done":
            self._finish()
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
        return self._epoch - self.position.best_epoch >= self.options.patience

    def _one_step(self, take_step: TrainingStep) -> None:
        position = self.position
        epoch, place = divmod(position.step, self.steps_per_epoch)
        if self._batches[0] != epoch:
            shuffled = generator(self.options.seed, SHUFFLING, epoch).permutation(len(self.train))
            self._batches = (epoch, np.array_split(shuffled, self.steps_per_epoch))
        if place == 0:
            self._pending = torch.zeros_like(self._pending)
            position.train_rows = 0
        rows = self.train[torch.as_tensor(self._batches[1][place], device=self.train.device)]
        rows = rows.to(torch.float32)
        multiplier = min(1.0, (position.step + 1) / max(self.options.warm_up, 1))
        if position.phase == "decay":
            multiplier *= max(1 - self._decay_progress(), 0.0)
        log_prob = take_step(position.step, rows, multiplier)
        self.state.update_average(position.step)
        # Added up on the device: reading the number at every step would wait for it.
        self._pending = self._pending + log_prob.double()
        position.train_rows += len(rows)
        position.step += 1
        if place + 1 == self.steps_per_epoch:
            self._end_epoch(epoch + 1)

    def _end_epoch(self, epoch: int) -> None:
        steady = self.position.phase == "steady"
        may_leave = self._phase_is_over() or (steady and self._out_of_patience())
        due = epoch % self.validate_every == 0 or may_leave
        self._record(self._validate() if due else None)
        if self.position.phase == "steady" and self._out_of_patience():
            self._leave_steady()

    def _finish(self) -> None:
        """Validate where training stopped, and give an epoch that was cut short its line."""
        position = self.position
        if position.validated_step != position.step:
            self._validate()
        if not position.history or position.history[-1].epoch != self._epoch_number:
            self._record(self._last_validation)

    def _validate(self) -> float | None:
        """Score the validation rows with the averaged weights and keep them if they are best.

        Returns the mean nats, or None if the weights diverged.
        """
        started = time.monotonic()
        self.state.settle_average()
        with np.errstate(invalid="ignore"):  # Weights that diverged are found below.
            validation = float(self._validation.log_prob(self.valid).mean())
        # The last validation, and the scoring of all members that follows.
        share = 1 + len(self.members) / self._validation.n_members
        self._seconds_to_close = (time.monotonic() - started) * share
        position = self.position
        position.validated_step = position.step
        if np.isfinite(validation):
            self._last_validation = validation
            if position.best_validation is None or validation > position.best_validation:
                position.best_validation = validation
                position.best_epoch = self._epoch_number
                self.state.best = self.state.snapshot()
            return validation
        self._last_validation = None
        if self.state.best is None:
            raise DivergedError(
                f"Training diverged in epoch {int(self._epoch)}: the validation rows score "
                f"{validation}. Use a smaller learning_rate than "
                f"{self.options.learning_rate:g}."
            )
        if position.phase == "steady":
            self._leave_steady()
        else:
            position.phase = "done"
        return None

    def _record(self, validation: float | None) -> None:
        position = self.position
        train = float(self._pending) / max(position.train_rows, 1)
        known = position.train_rows > 0 and np.isfinite(train)
        seconds = round(self.budget.elapsed(), 3)
        line = Epoch(self._epoch_number, train if known else None, validation, seconds)
        position.history.append(line)
        nats = (("train", line.train), ("validation", position.best_validation))
        parts = [f"{name} {value:.3f}" for name, value in nats if value is not None]
        note = "  ".join([f"epoch {line.epoch}", *parts])
        self._progress.update(min(self._used(), 1.0), 1.0, note)
        self._on_epoch(line)

    def save(self, path: Path, run: dict[str, Any] | None) -> None:
        """Write a checkpoint; of a run that is over, one that ends at once when it goes on."""
        self.position.train_sum = float(self._pending)
        self.position.seconds = self.budget.elapsed()
        save_checkpoint(path, run or {}, self.position, self.state)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag, so that a step is never cut in half.

    A second Ctrl-C interrupts at once. Outside the main thread signals cannot be caught, and
    nothing changes.
    """
    caught: list[int] = []
    previous = signal.getsignal(signal.SIGINT)
    # A handler that was not set from Python (None) could not be put back.
    if threading.current_thread() is not threading.main_thread() or previous is None:
        yield lambda: False
        return

    def note(number: int, frame: object) -> None:
        del frame
        caught.append(number)
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(caught)
    finally:
        signal.signal(signal.SIGINT, previous)
