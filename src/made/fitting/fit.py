"""A table and options -> trained members -> what a model file holds.

Knows rows, the recipe and training; keeps the record. Knows nothing of the command line or of what
users do with the result.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from made._version import __version__
from made.choosing import parse_method
from made.combining import combine as combine_members
from made.combining import standard_error
from made.ensemble import Certification, Combination, Ensemble, Members
from made.errors import MadeNotice, OptionError
from made.fitting.networks import Saving, train_networks
from made.fitting.recipe import choose_recipe, for_questions, resolve
from made.fitting.rows import RowSource, Splits
from made.modelfile import FitRecord, Fitted
from made.progress import Progress
from made.queries.trained import check_orders
from made.storage import check_writable
from made.training.loop import TrainingResult
from made.training.options import Budget, TrainingOptions, check_count, parse_duration
from made.training.state import Epoch
from made.uniforms import check_seed

_DEFAULT_MAX_TIME = 600.0
# Time to combine: a share of short fits, a minute of longer ones, six of an hour: networks are then
# many, and each gains by a normaliser that is known well.
_COMBINING_SHARE, _COMBINING_SECONDS = 0.15, 60.0
_COMBINING_SHARE_OF_LONG, _MOST_COMBINING_SECONDS = 0.1, 600.0
_CERTIFYING_DRAWS = 200_000


def fit_table(source: RowSource, **asked: Any) -> tuple[Fitted, bool]:
    """Fit a model; return it and whether Ctrl-C ended the training. ``asked`` is of `Fit`."""
    fit = Fit(**asked)
    return fit.run(source.read(fit.seed))


class Fit:
    """One fit: what was asked is checked when it is made, before anything slow; then it runs.

    The time runs from when it is made. The arguments are those of `made.fit` that say nothing of
    rows; ``options`` are fields of `NetworkConfig` and `TrainingOptions`, where None means the
    choice of the preset. ``check_orders=False`` leaves out what other orderings cost.

    Examples
    --------
    >>> import numpy as np
    >>> fit = Fit(hidden=(8,), max_epochs=1, combine="mixture")
    >>> fitted, stopped = fit.run(RowSource(np.tile(np.eye(4, dtype=int), (25, 1))).read())
    >>> fitted.ensemble.n_members, stopped
    (16, False)
    """

    def __init__(
        self,
        *,
        preset: str = "default",
        orderings: str | int | None = None,
        seed: int = 0,
        max_time: str | float | None = None,
        max_epochs: int | None = None,
        device: str = "auto",
        threads: int | None = None,
        checkpoint: Path | None = None,
        checkpoint_every: str | float = 30.0,
        resume: bool = False,
        combine: str = "auto",
        questions: bool = False,
        check_orders: bool = True,
        on_epoch: Callable[[Epoch], None] | None = None,
        progress: Progress | None = None,
        used_seconds: float = 0.0,
        **options: Any,
    ) -> None:
        if max_time is None and max_epochs is None:
            max_time = _DEFAULT_MAX_TIME
        self.max_seconds = None if max_time is None else parse_duration(max_time)
        if questions:
            orderings, combine = for_questions(orderings, combine)
        parse_method(combine)
        # Training leaves time to weigh the combinations and to certify the one that is kept.
        training_seconds = self.max_seconds
        if training_seconds is not None and combine != "mixture":
            training_seconds -= _combining_seconds(training_seconds)
        self.budget = Budget(training_seconds, max_epochs, used_seconds=used_seconds)
        self.seed = check_seed(seed)
        self.combine = combine
        self.preset = preset
        self.chosen = resolve(preset, {"orderings": orderings, **options})
        if questions:
            # Where little is known, few hidden units are there to say what follows.
            self.chosen.setdefault("direct_input", True)
            # Every answer asks all members: what many would add is not worth the wait.
            self.chosen.setdefault("members", TrainingOptions.members)
            self.chosen.setdefault("networks", 1)
        every = parse_duration(checkpoint_every)
        if checkpoint is not None:
            checkpoint = _check_checkpoint(checkpoint, resume)
        elif resume:
            raise OptionError("resume=True needs checkpoint=..., the file to go on from.")
        self.saving = Saving(checkpoint, every, resume)
        self.device, self.threads = device, threads
        self.checks_orders = check_orders
        self.on_epoch, self.progress = on_epoch, progress

    def run(self, splits: Splits) -> tuple[Fitted, bool]:
        """Fit to the rows; return the model and whether Ctrl-C ended the training."""
        recipe = choose_recipe(
            self.chosen, splits.schema, len(splits.train), self.seed, self.max_seconds
        )
        order_check = None
        with using_threads(self.threads):
            results = train_networks(
                splits, recipe, self.budget, self.device, self.saving,
                on_epoch=self.on_epoch, progress=self.progress,
            )  # fmt: skip
            stopped = results[-1].stopped
            members = Members([(result.model, result.members) for result in results])
            # A run that was stopped is not made to wait: the mixture needs no certificate.
            choice, combined = combine_members(
                members,
                splits.valid,
                "mixture" if stopped else self.combine,
                _certification(self.seed, self.max_seconds, self.budget),
                progress=self.progress,
            )
            if self.checks_orders:
                # Of one network: of several it would take as many times as long.
                first = Ensemble(Members([members.networks[0]]))
                fixed = recipe.training.n_orderings is not None
                order_check = check_orders(first, splits.valid, self.seed, fixed=fixed)
        scores = _validation(members, choice.log_probs)
        records = [
            self._record(splits, recipe.training_of(number), result, score)
            for number, (result, score) in enumerate(zip(results, scores, strict=True))
        ]
        records[0] = replace(records[0], order_check=order_check)
        return Fitted(splits.schema, choice.ensemble, tuple(records), combined), stopped

    def _record(
        self,
        splits: Splits,
        training: TrainingOptions,
        result: TrainingResult,
        validation: tuple[float, float],
    ) -> FitRecord:
        """Return how a network came about."""
        position = result.position
        return FitRecord(
            made_version=__version__,
            torch_version=torch.__version__,
            options=training.to_json()
            | {"preset": self.preset, "training_rows_hash": splits.identity["training_rows_hash"]},
            n_train_rows=len(splits.train),
            n_validation_rows=len(splits.valid),
            validation_log_prob=validation[0],
            validation_standard_error=validation[1],
            best_epoch=position.best_epoch,
            epochs=max((line.epoch for line in position.history), default=0),
            seconds=round(position.seconds, 3),
            history=[asdict(line) for line in position.history],
        )


def _validation(members: Members, log_probs: np.ndarray) -> list[tuple[float, float]]:
    """Return mean nats of the validation rows by each network's mixture, and standard errors."""
    counts = [len(connectivities) for _, connectivities in members.networks]
    scores = [
        Combination.uniform(one.shape[1]).log_mean(one)
        for one in np.split(log_probs, np.cumsum(counts)[:-1], axis=1)
    ]
    return [(float(one.mean()), standard_error(one)) for one in scores]


def _combining_seconds(max_seconds: float) -> float:
    """Return how much of the time of a fit is for combining its members."""
    of_long = min(max_seconds * _COMBINING_SHARE_OF_LONG, _MOST_COMBINING_SECONDS)
    return min(max_seconds * _COMBINING_SHARE, max(_COMBINING_SECONDS, of_long))


def _certification(seed: int, max_seconds: float | None, budget: Budget) -> Certification:
    if max_seconds is None:
        # Runs without a time limit are those that must repeat: a number of draws ends them.
        return Certification(seed=seed, max_draws=_CERTIFYING_DRAWS)
    return Certification(seed=seed, max_seconds=max(max_seconds - budget.elapsed(), 0.0))


def _check_checkpoint(path: Path, resume: bool) -> Path:
    target = check_writable(path)
    if target.exists() and not resume:
        raise OptionError(
            f"{path} holds a run that was interrupted. Go on with --resume (resume=True), or "
            "delete it to start anew."
        )
    if resume and not target.exists():
        warnings.warn(
            f"There is no {path} to resume: training starts from the beginning.",
            MadeNotice,
            stacklevel=2,
        )
    return target


@contextmanager
def using_threads(n_threads: int | None) -> Iterator[None]:
    """Compute with so many threads for a while; None changes nothing."""
    before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(check_count("threads", n_threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)
