"""One trial: a fit with the options that are tried, reported by time, ended where it lags behind.

Knows a study, rows and `made.fitting`; knows nothing of what to try next, or of which trials
make the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from made import modelfile
from made.errors import DivergedError
from made.fitting import Fit, Splits
from made.modelfile import Fitted
from made.progress import Progress
from made.search.study import Study, Trial
from made.training.checkpoint import load_checkpoint
from made.training.state import Epoch
from made.uniforms import TRIALS, derived_seed


@dataclass(frozen=True)
class Stopped:
    """A trial that Ctrl-C ended: its best weights so far; its checkpoint is on disk."""

    fitted: Fitted


class _Lagging(Exception):  # noqa: N818
    """Ends a fit from inside: it is behind the median of the others."""

    def __init__(self, seconds: float) -> None:
        super().__init__("behind the median")
        self.seconds = seconds


def run_trial(
    study: Study,
    trial: Trial,
    splits: Splits,
    asked: dict[str, Any],
    *,
    max_seconds: float,
    seed: int,
    on_epoch: Callable[[Epoch], None] | None,
    progress: Progress | None,
) -> Stopped | None:
    """Run a trial, or go on with it, to its end: finished, pruned or failed.

    Parameters
    ----------
    study : Study
    trial : Trial
        Finished, it leaves a model in the folder; pruned or failed, nothing.
    splits : Splits
    asked : dict
        Arguments of `made.fitting.Fit` that all trials share.
    max_seconds : float
        Time for it, what it used before an interruption included.
    seed : int
        Of the search; each trial has its own, derived from it.
    """
    checkpoint = study.path_of(trial, "checkpoint")
    # Trials are compared as mixtures; how members combine is decided once, in the end.
    asked = asked | trial.options | {"combine": "mixture"}
    fit = Fit(
        **asked,
        seed=derived_seed(seed, TRIALS, trial.number),
        max_time=max_seconds,
        check_orders=False,
        checkpoint=checkpoint,
        resume=checkpoint.exists(),
        on_epoch=_Watch(study, trial, on_epoch),
        progress=progress,
    )
    state, validation = "complete", None
    try:
        fitted, stopped = fit.run(splits)
    except _Lagging as lagging:
        state, seconds = "pruned", lagging.seconds
    except DivergedError:
        state, seconds = "fail", fit.budget.elapsed()
    else:
        if stopped:
            return Stopped(fitted)
        modelfile.save(fitted, study.path_of(trial, "made"))
        validation, seconds = fitted.record.validation_log_prob, fit.budget.elapsed()
    trial.finish(state, seconds, validation)
    checkpoint.unlink(missing_ok=True)
    return None


def seconds_before(study: Study, trial: Trial) -> float:
    """Return the time that an interrupted trial had used when it was last saved."""
    checkpoint = study.path_of(trial, "checkpoint")
    return load_checkpoint(checkpoint).position.seconds if checkpoint.exists() else 0.0


class _Watch:
    """Reports the best validation so far at each tenth of the time, and ends what lags.

    By time and not by epochs: an epoch of a large network takes longer, and time is what is given.
    """

    def __init__(
        self, study: Study, trial: Trial, on_epoch: Callable[[Epoch], None] | None
    ) -> None:
        self._trial, self._on_epoch = trial, on_epoch
        self._tenths_a_second = 10 / max(study.trial_seconds, 1e-9)
        before = trial.reports
        self._last = max(before, default=0)
        self._best = max(before.values(), default=None)

    def __call__(self, epoch: Epoch) -> None:
        if self._on_epoch is not None:
            self._on_epoch(epoch)
        if epoch.validation is not None:
            best = self._best
            self._best = epoch.validation if best is None else max(best, epoch.validation)
        tenth = min(int(epoch.seconds * self._tenths_a_second), 10)
        # At the end nothing is saved by ending it.
        if self._best is None or not self._last < tenth < 10:
            return
        self._last = tenth
        if self._trial.report(self._best, tenth):
            raise _Lagging(epoch.seconds)
