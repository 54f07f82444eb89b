"""The study: which trials there were, how they went, and what to try next.

Optuna's own journal keeps them, as lines of JSON in the folder of the search. Knows Optuna, and
options as names and values; knows nothing of training, models or how much time there is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from made.errors import OptionError
from made.search.folder import JOURNAL, open_folder
from made.search.space import LogRange, Options, Space, label
from made.uniforms import SUGGESTIONS, derived_seed

if TYPE_CHECKING:
    import optuna

# Trials before those that are drawn follow from how others went.
_RANDOM_TRIALS = 4
# Draws by Optuna's model, and at random, until one is new.
_REDRAWS = (8, 200)
# Nothing is pruned before so many trials are finished, or before so many tenths of its time: the
# first trials differ most, and some start slowly.
_UNPRUNED_TRIALS, _UNPRUNED_TENTHS = 4, 3


def import_optuna() -> Any:
    """Return the module, or raise `OptionError` that says how to install it."""
    try:
        import optuna
    except ImportError as error:
        raise OptionError(
            "A search (--search, search=...) needs Optuna, which is not installed: "
            'pip install "made[search]".'
        ) from error
    return optuna


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Let Optuna say nothing for a while: what there is to say is said by the search."""
    logging = import_optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


class Trial:
    """One trial of a study; what is set is on disk when the call returns."""

    def __init__(self, study: optuna.Study, number: int) -> None:
        self._study = study
        self.number = number

    @property
    def _frozen(self) -> optuna.trial.FrozenTrial:
        return self._study.get_trials(deepcopy=False)[self.number]

    @property
    def name(self) -> int:
        """Its number as people count, from 1."""
        return self.number + 1

    @property
    def options(self) -> Options:
        """The options that it tries, those that are fixed left out."""
        given = self._frozen.user_attrs["options"]
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in given.items()
        }

    @property
    def complete(self) -> str:
        """All options, completed by the recipe, as text: the same for trials that are alike."""
        return self._frozen.user_attrs["complete"]

    @property
    def state(self) -> str:
        """RUNNING (also after a kill), COMPLETE, PRUNED or FAIL."""
        return self._frozen.state.name

    @property
    def validation(self) -> float:
        """Mean nats of the validation rows; of a finished trial alone."""
        value = self._frozen.value
        assert value is not None
        return value

    @property
    def seconds(self) -> float:
        """What it took; 0 where it is not over."""
        return self._frozen.user_attrs.get("seconds", 0.0)

    @property
    def reports(self) -> dict[int, float]:
        """The best validation so far by tenths of a trial's time."""
        return dict(self._frozen.intermediate_values)

    @property
    def is_repeat(self) -> bool:
        """Whether a trial before it had the same options."""
        wanted = self.complete
        return any(Trial(self._study, n).complete == wanted for n in range(self.number))

    def report(self, validation: float, tenth: int) -> bool:
        """Note how it stands; return whether it is behind the median and should end.

        Of options that were the best before, a further network is wanted for itself: it never is.
        """
        import optuna

        live = optuna.Trial(self._study, self._frozen._trial_id)
        live.report(validation, tenth)
        return not self.is_repeat and live.should_prune()

    def finish(self, state: str, seconds: float, validation: float | None = None) -> None:
        """Note its end: "complete" with what it scores, "pruned" or "fail"."""
        import optuna

        live = optuna.Trial(self._study, self._frozen._trial_id)
        live.set_user_attr("seconds", round(seconds, 3))
        self._study.tell(self.number, validation, state=optuna.trial.TrialState[state.upper()])


class Study:
    """The trials of one search, on disk.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    run : dict
        What identifies the search: data, seed, options that are fixed.
    trial_seconds : float
        How long a trial may take; a search that goes on keeps the figure that it began with, so
        that its trials can be compared.
    resume : bool
        Go on from what is in the folder.

    Raises
    ------
    CheckpointError
        If the folder belongs to another search, or cannot be read.
    OptionError
        If it holds a search and ``resume`` is False, or files of others.
    """

    def __init__(
        self, folder: Path, run: dict[str, Any], trial_seconds: float, *, seed: int, resume: bool
    ) -> None:
        optuna = import_optuna()
        self.folder, self._seed = folder, seed
        self.trial_seconds = open_folder(folder, run, trial_seconds, resume=resume)
        journal = (folder / JOURNAL).resolve()
        self._study: optuna.Study = optuna.create_study(
            storage=optuna.storages.JournalStorage(
                optuna.storages.journal.JournalFileBackend(
                    str(journal), optuna.storages.journal.JournalFileOpenLock(str(journal))
                )
            ),
            pruner=optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_TENTHS),
            study_name="made",
            direction="maximize",
            load_if_exists=True,
        )

    @property
    def trials(self) -> list[Trial]:
        return [Trial(self._study, number) for number in range(len(self._frozen))]

    @property
    def _frozen(self) -> list[optuna.trial.FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def of_state(self, state: str) -> list[Trial]:
        """Return the trials in that state: "running", "complete", "pruned", "fail"."""
        return [trial for trial in self.trials if trial.state == state.upper()]

    def path_of(self, trial: Trial, ending: str) -> Path:
        """Return where the model or the checkpoint of a trial lies."""
        return self.folder / f"trial-{trial.name:03d}.{ending}"

    def next_trial(self, space: Space) -> Trial | None:
        """Return the trial that was interrupted, or begin another; None if all were tried."""
        running = self._interrupted()
        if running is not None:
            return running
        tried = {trial.complete for trial in self.trials}
        for options in self._suggestions(space):
            complete = space.complete(options)
            if complete is not None and label(complete) not in tried:
                return self._begin(space, options, complete)
        return None

    def again(self, trial: Trial, space: Space) -> Trial:
        """Return the trial that was interrupted, or begin ``trial`` again with another seed."""
        complete = space.complete(trial.options)
        assert complete is not None  # It was tried before.
        return self._interrupted() or self._begin(space, trial.options, complete)

    def count_like(self, trial: Trial) -> int:
        """Return how many trials there are with the options of ``trial``, itself among them."""
        wanted = trial.complete
        return sum(one.complete == wanted for one in self.trials)

    def _interrupted(self) -> Trial | None:
        return next(iter(self.of_state("running")), None)

    def _suggestions(self, space: Space) -> Iterator[Options]:
        """Yield the first trials, then draws by Optuna's model of the trials, then at random."""
        yield from space.first
        if not space.axes:
            return
        import optuna

        # A study that was opened again with the same seed would draw the same once more.
        seed = derived_seed(self._seed, SUGGESTIONS, len(self._frozen)) % 2**32
        samplers = (
            optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS),
            optuna.samplers.RandomSampler(seed=seed),
        )
        distributions = distributions_of(space)
        for sampler, n_draws in zip(samplers, _REDRAWS, strict=True):
            # A copy in memory is asked: the journal is of trials that were run.
            copy = optuna.create_study(direction="maximize", sampler=sampler)
            copy.add_trials(self._frozen)
            for _ in range(n_draws):
                yield space.options(copy.ask(distributions).params)

    def _begin(self, space: Space, options: Options, complete: Options) -> Trial:
        import optuna

        places = space.place(complete)
        distributions = distributions_of(space)
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.RUNNING,
                params=places,
                distributions={name: distributions[name] for name in places},
                user_attrs={"options": options, "complete": label(complete)},
            )
        )
        return Trial(self._study, len(self._frozen) - 1)


def distributions_of(space: Space) -> dict[str, Any]:
    """Return the axes of a space as Optuna knows them."""
    import optuna

    return {
        axis.name: optuna.distributions.FloatDistribution(axis.low, axis.high, log=True)
        if isinstance(axis, LogRange)
        else optuna.distributions.CategoricalDistribution([label(value) for value in axis.values])
        for axis in space.axes
    }
