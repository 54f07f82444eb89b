"""A table and a time -> trials -> the model of the best few: the search as a whole.

Shares out the time; goes on where it was interrupted. Knows rows, trials and what is kept; knows
nothing of the command line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from made import modelfile
from made.errors import DivergedError, OptionError
from made.fitting import Fit, RowSource, Splits, choose_recipe, find_device, using_threads
from made.modelfile import Fitted
from made.progress import NoProgress, Progress
from made.search.folder import check_folder
from made.search.keeping import MOST_CANDIDATES, MOST_NETWORKS, keep_best
from made.search.space import Space, space_of
from made.search.study import Study, Trial, import_optuna, quiet_optuna
from made.search.trials import Stopped, run_trial, seconds_before
from made.training.options import Budget, parse_duration
from made.training.state import Epoch

# Of the time: what choosing and certifying take in the end.
_CLOSING_SHARE, _CLOSING_SECONDS = 0.12, 600.0
# Of a trial's time, without which it is not started.
_LEAST_SHARE = 0.3


def search_table(
    source: RowSource,
    *,
    search: str | float,
    folder: Path | None = None,
    resume: bool = False,
    seed: int = 0,
    max_time: str | float | None = None,
    max_epochs: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    checkpoint_every: str | float = 30.0,
    on_epoch: Callable[[Epoch], None] | None = None,
    progress: Progress | None = None,
    used_seconds: float = 0.0,
    **asked: Any,
) -> tuple[Fitted, bool]:
    """Search for options on the validation rows; return the model and whether Ctrl-C ended it.

    Parameters
    ----------
    source : RowSource
    search : seconds or text like "15m"
        Time for everything: trials, choosing, certifying.
    folder : Path, optional
        Where the search is kept, so that it can go on; by default nowhere.
    resume : bool
        Go on with the search in ``folder``.
    asked : dict
        The other arguments of `made.fit`: preset, orderings, combine, questions, options. What is
        given there is not searched.

    Returns
    -------
    Fitted
        Of up to 24 networks; ``record.options["search"]`` says of each which trial it was.
    bool
        If True, of the best finished trial alone, or of the one that was under way.

    Raises
    ------
    OptionError
        If an option cannot work, or Optuna is not installed.
    CheckpointError
        If ``folder`` belongs to another search.
    DivergedError
        If no trial could be finished.
    KeyboardInterrupt
        After Ctrl-C, if there is nothing to keep.

    Examples
    --------
    >>> import numpy as np
    >>> source = RowSource(np.tile(np.eye(4, dtype=int), (25, 1)))
    >>> fitted, stopped = search_table(source, search=1, hidden=(8,), members=2)
    >>> stopped, fitted.record.options["search"]["failed"]
    (False, 0)
    """
    if max_time is not None or max_epochs is not None:
        name = "max_time" if max_time is not None else "max_epochs"
        raise OptionError(
            f"search gives the time for everything, and does not go with {name}: leave "
            f"--{name.replace('_', '-')} ({name}=...) out."
        )
    if asked.get("networks") is not None:
        raise OptionError(
            "search decides how many networks it keeps, and does not go with networks: leave "
            "--networks (networks=...) out."
        )
    budget = Budget(parse_duration(search), None, used_seconds=used_seconds)
    import_optuna()
    if folder is not None:
        check_folder(folder, resume)
    elif resume:
        raise OptionError("resume=True needs checkpoint=..., the folder of the search.")
    shared = {"device": device, "threads": threads, "checkpoint_every": checkpoint_every}
    # Made for its checks, and for what is fixed: mistakes are found before the rows are read.
    base = Fit(**shared, **asked, seed=seed, max_epochs=0)
    find_device(device)
    splits = source.read(base.seed)
    choose_recipe(base.chosen, splits.schema, len(splits.train), base.seed)
    space = space_of(splits.schema, len(splits.train), base.chosen)
    with (
        tempfile.TemporaryDirectory(prefix="made-search-") as temporary,
        quiet_optuna(),
        using_threads(threads),
    ):
        study = Study(
            folder or Path(temporary) / "search",
            splits.identity | {"seed": base.seed, "options": {"preset": base.preset} | base.chosen},
            (budget.max_seconds or 0.0) / min(space.n_trials, max(space.size, 1)),
            seed=base.seed,
            resume=resume,
        )
        running = _Search(study, space, splits, budget, base, progress or NoProgress())
        return running.run(shared | asked | {"networks": 1}, on_epoch)


class _Search:
    """One search while it runs."""

    def __init__(
        self,
        study: Study,
        space: Space,
        splits: Splits,
        budget: Budget,
        base: Fit,
        progress: Progress,
    ) -> None:
        self._study, self._space, self._splits = study, space, splits
        self._budget, self._base, self._progress = budget, base, progress
        self._total = budget.max_seconds or 0.0
        self._closing = min(_CLOSING_SHARE * self._total, _CLOSING_SECONDS)
        # Trials of before count, whoever interrupted them.
        budget.used_seconds += sum(
            trial.seconds or seconds_before(study, trial) for trial in study.trials
        )

    def run(
        self, asked: dict[str, Any], on_epoch: Callable[[Epoch], None] | None
    ) -> tuple[Fitted, bool]:
        """Run trials while there is time, and make a model of the best."""
        stopped = None
        try:
            stopped = self._run_trials(asked, on_epoch)
            if stopped is None:
                return self._close(), False
        except KeyboardInterrupt:
            if not self._finished():
                raise
        finished = self._finished()
        if finished:
            return self._read(finished[0]), True
        assert stopped is not None
        return stopped.fitted, True

    def _run_trials(
        self, asked: dict[str, Any], on_epoch: Callable[[Epoch], None] | None
    ) -> Stopped | None:
        study, n_run = self._study, 0
        while True:
            left = self._total - self._closing - self._budget.elapsed()
            # The first one always runs: without it there would be no model.
            if left < _LEAST_SHARE * study.trial_seconds and (n_run or self._finished()):
                return None
            trial = self._next_trial()
            if trial is None:
                return None
            before = seconds_before(study, trial)
            stopped = run_trial(
                study,
                trial,
                self._splits,
                asked,
                max_seconds=min(study.trial_seconds, max(before + left, 0.0)),
                seed=self._base.seed,
                on_epoch=on_epoch,
                progress=self._watch(trial),
            )
            if stopped is not None:
                return stopped
            n_run += 1

    def _next_trial(self) -> Trial | None:
        """Return what to run next: other options, or, later on, the best of them once more."""
        study, finished = self._study, self._finished()
        exploring = self._budget.elapsed() < self._space.exploring * (self._total - self._closing)
        if exploring or not finished or study.count_like(finished[0]) >= MOST_NETWORKS:
            return study.next_trial(self._space)
        return study.again(finished[0], self._space)

    def _close(self) -> Fitted:
        """Make a model of the best finished trials within the time that is left."""
        best = self._finished()[:MOST_CANDIDATES]
        if not best:
            raise DivergedError(
                f"All {len(self._study.trials)} trials of the search diverged. Use a smaller "
                "learning_rate than the search tries (--learning-rate), or look for numbers of "
                "extreme size in the table."
            )
        fitted = keep_best(
            [self._read(trial) for trial in best],
            self._splits.valid,
            method=self._base.combine,
            seed=self._base.seed,
            max_seconds=max(self._total - self._budget.elapsed(), 0.0),
            widen="members" not in self._base.chosen,
            progress=_Overall(self._progress, self._budget, self._note()),
        )
        return fitted

    def _finished(self) -> list[Trial]:
        """Return the finished trials, the best one first."""
        return sorted(self._study.of_state("complete"), key=lambda trial: -trial.validation)

    def _read(self, trial: Trial) -> Fitted:
        """Return the model of a finished trial; its record says which it was, and of how many."""
        fitted = modelfile.load(self._study.path_of(trial, "made"))
        counts = {
            name: len(self._study.of_state(state))
            for name, state in (("finished", "complete"), ("pruned", "pruned"), ("failed", "fail"))
        }
        counts["trials"] = sum(counts.values())
        story = {"trial": trial.name, "options": trial.options, **counts}
        record = replace(fitted.record, options=fitted.record.options | {"search": story})
        return replace(fitted, records=(record,))

    def _note(self) -> str:
        finished = self._finished()
        return f"best {finished[0].validation:.2f}" if finished else ""

    def _watch(self, trial: Trial) -> Progress:
        note = self._note()
        return _Overall(
            self._progress, self._budget, f"trial {trial.name}" + (f": {note}" if note else "")
        )


class _Overall:
    """Shows how much of the whole time is used, whatever is done with it."""

    def __init__(self, progress: Progress, budget: Budget, label: str) -> None:
        self._progress, self._budget, self._label = progress, budget, label

    def update(self, done: float, total: float, note: str = "") -> None:
        del done, total
        whole = self._budget.max_seconds or 0.0
        used = min(self._budget.elapsed(), whole)
        text = "  ".join(part for part in (self._label, note) if part)
        self._progress.update(used, whole, text)
