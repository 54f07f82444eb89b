"""The networks of one fit, trained one after another: each has its seed, time and checkpoint.

Knows rows, a recipe and the training loop; knows nothing of how members combine or of records.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile
from pathlib import Path

import torch

from made.errors import DivergedError, MadeNotice, OptionError
from made.fitting.recipe import Recipe
from made.fitting.rows import Splits
from made.model import Model
from made.progress import NoProgress, Part, Progress
from made.training.checkpoint import load_checkpoint
from made.training.loop import Trainer, TrainingResult
from made.training.options import Budget
from made.training.state import Epoch


@dataclass(frozen=True)
class Saving:
    """Where the run is kept while it is under way, how often (seconds), and whether it goes on."""

    checkpoint: Path | None
    every: float
    resume: bool

    def n_begun(self) -> int:
        """Return how many networks there are to go on with."""
        if self.checkpoint is None or not self.resume:
            return 0
        return sum(1 for _ in checkpoints_of(self.checkpoint))


def checkpoints_of(checkpoint: Path) -> Iterator[Path]:
    """Yield the checkpoints of a run that are there, one for each network that was begun."""
    return takewhile(Path.exists, (checkpoint_of(checkpoint, number) for number in count()))


def checkpoint_of(checkpoint: Path, number: int) -> Path:
    """Return the checkpoint of a network, counted from 0: of the first it is the run's own."""
    return checkpoint.with_name(f"{checkpoint.name}.{number + 1}") if number else checkpoint


def train_networks(
    splits: Splits,
    recipe: Recipe,
    budget: Budget,
    device: str,
    saving: Saving,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Progress | None = None,
) -> list[TrainingResult]:
    """Train the networks of a recipe; each gets an equal share of the time that is left.

    What a network does not need, since it stopped to improve, is for the others. Where the time is
    over, or Ctrl-C ended one, no further network is begun.

    Parameters
    ----------
    budget : Budget
        Of all networks. The time that an interrupted run had used is added to it.
    """
    results: list[TrainingResult] = []
    # Whoever goes on with less time than before keeps what there is.
    n_begun = saving.n_begun()
    n_networks = max(recipe.n_networks, n_begun)
    for number in range(n_networks):
        left = None if budget.max_seconds is None else budget.max_seconds - budget.elapsed()
        if number >= max(n_begun, 1) and left is not None and left <= 0:
            break
        share = None if left is None else max(left, 0.0) / (n_networks - number)
        own = Budget(share, budget.max_epochs)
        label = f"network {number + 1} of {n_networks}" if n_networks > 1 else ""
        try:
            result = _train(
                splits,
                recipe,
                number,
                own,
                device,
                saving,
                on_epoch,
                Part(progress or NoProgress(), number, 1, n_networks, label),
                is_last=number + 1 == n_networks,
            )
        except DivergedError as error:
            if not results:
                raise
            warnings.warn(
                f"Network {number + 1} is left out, and none is trained after it: {error}",
                MadeNotice,
                stacklevel=2,
            )
            break
        budget.used_seconds += own.used_seconds
        # The model without what trained it, on the CPU.
        results.append(replace(result, model=_detached(result.model)))
        if result.stopped:
            break
    return results


def _train(
    splits: Splits,
    recipe: Recipe,
    number: int,
    budget: Budget,
    device: str,
    saving: Saving,
    on_epoch: Callable[[Epoch], None] | None,
    progress: Progress,
    *,
    is_last: bool,
) -> TrainingResult:
    """Train one network, or go on with it; one that was finished before is read."""
    place = find_device(device)
    network, training = recipe.network, recipe.training_of(number)
    model = Model(splits.schema.columns, network)
    model.initialize(training.seed, torch.as_tensor(splits.train))
    trainer = Trainer(
        model.to(place),
        torch.as_tensor(splits.train),
        torch.as_tensor(splits.valid),
        training,
        budget,
        on_epoch=on_epoch,
        progress=progress,
    )
    run = {
        "network": network.to_json(),
        "training": training.to_json(),
    } | splits.identity
    checkpoint = saving.checkpoint and checkpoint_of(saving.checkpoint, number)
    if saving.resume and checkpoint is not None and checkpoint.exists():
        trainer.resume(load_checkpoint(checkpoint, run))
    result = trainer.run(checkpoint, run, saving.every)
    if checkpoint is not None and not result.stopped and not is_last:
        # The others may be interrupted: this one need not be trained again.
        trainer.save(checkpoint, run)
    return result


def _detached(model: Model) -> Model:
    """Return a copy on the CPU whose weights share no memory with the training state."""
    copied = Model(model.columns, model.config)
    with torch.no_grad():
        for target, source in zip(copied.parameters(), model.parameters(), strict=True):
            target.copy_(source)
    return copied.eval().requires_grad_(False)


def find_device(name: str) -> torch.device:
    """Return the device of that name, or raise `OptionError`; "auto" prefers a GPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise OptionError(f"The device {name!r} cannot be used: {reason}") from error
