"""A search keeps what is fixed, goes on after a stop, ends in time, and says what is wrong."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import made
from made.density import TrainingInterrupted
from made.errors import CheckpointError, DivergedError, MadeNotice, OptionError
from made.fitting import Fit, RowSource
from made.search.folder import JOURNAL
from made.search.search import search_table
from made.search.trials import _Lagging, _Watch
from made.training import loop
from made.training.checkpoint import load_checkpoint
from made.training.state import Epoch
from made.training.step import TrainingStep
from search_cases import BITS, DROPOUTS, MIXED, SMALL, search, stopping_after, story, tried


def test_the_model_is_normalised_and_no_worse_than_the_best_trial(tmp_path: Path) -> None:
    splits = RowSource(BITS).read()
    density = search(splits.train, valid=splits.valid)
    every_row = np.array(list(itertools.product([0, 1], repeat=6)))
    assert np.exp(density.log_prob(every_row)).sum() == pytest.approx(1, abs=1e-5)
    assert story(density)["trials"] == story(density)["finished"] == len(DROPOUTS)
    best = max(record.validation_log_prob for record in density.records)
    assert density.combined.mixture_log_prob is not None
    assert density.combined.mixture_log_prob >= best - 1e-6
    # The first network is the best trial, and a saved model tells the same story.
    assert density.record.validation_log_prob == best
    density.save(tmp_path / "m.made")
    assert made.load(tmp_path / "m.made").records == density.records


def test_fixed_options_stay_fixed() -> None:
    density = search()
    for record, model in zip(density.records, density._fitted.ensemble.members.models, strict=True):
        assert model.config.hidden == (8,)
        assert record.options["learning_rate"] == 0.05
        assert record.options["n_orderings"] == 2
        assert set(record.options["search"]["options"]) <= {"dropout"}
        assert model.config.dropout == record.options["search"]["options"].get("dropout", 0.0)
    seeds = [record.options["seed"] for record in density.records]
    assert len(set(seeds)) == len(seeds)


def test_a_search_that_is_stopped_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt) as stop:
        search(checkpoint=folder, on_epoch=stopping_after(1))
    assert not isinstance(stop.value, TrainingInterrupted)  # There was nothing to keep.
    # In the second trial or the third: each has four epochs or more.
    n_epochs = 0

    def stop_in_second(epoch: Any) -> None:
        nonlocal n_epochs
        n_epochs += 1
        if (folder / "trial-001.made").exists():
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted) as kept:
        search(checkpoint=folder, resume=True, on_epoch=stop_in_second)
    assert n_epochs > 1
    assert kept.value.checkpoint == folder
    assert story(kept.value.density) == {
        "trial": 1, "options": {}, "trials": 1, "finished": 1, "pruned": 0, "failed": 0
    }  # fmt: skip
    assert [trial["state"] for trial in tried(folder)] == ["COMPLETE", "RUNNING"]
    density = search(checkpoint=folder, resume=True)
    assert story(density)["trials"] == len(DROPOUTS)
    assert not folder.exists()


def test_no_trial_is_run_twice_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    class Counted(Fit):
        def run(self, splits: Any) -> Any:
            runs.append(self.chosen.get("dropout", 0.0))
            if len(runs) == 3:
                raise KeyboardInterrupt
            return super().run(splits)

    monkeypatch.setattr("made.search.trials.Fit", Counted)
    with pytest.raises(TrainingInterrupted):
        search(checkpoint=tmp_path / "run")
    search(checkpoint=tmp_path / "run", resume=True)
    assert runs[2] == runs[3]  # The one that was stopped.
    assert sorted(runs[:2] + runs[3:]) == DROPOUTS


def test_an_interrupted_trial_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(TrainingStep):
        def __call__(self, number: int, *arguments: Any) -> torch.Tensor:
            if number == 7:
                signal.raise_signal(signal.SIGINT)
            return super().__call__(number, *arguments)

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(loop, "TrainingStep", Interrupted)
        with pytest.raises(TrainingInterrupted) as stop:
            search(checkpoint=folder)
    # What a fit would have: the best weights so far.
    assert stop.value.density.record.epochs == 2
    before = load_checkpoint(folder / "trial-001.checkpoint").position
    assert before.step == 8
    # No time for more: what there is becomes the model.
    density = search(checkpoint=folder, resume=True, search=0)
    assert story(density)["trials"] == 1
    assert density.record.seconds >= before.seconds > 0
    assert density.record.history[0] == json.loads(json.dumps(before.history[0].__dict__))


def test_it_is_reported_by_tenths_of_the_time() -> None:
    reports = {}

    class Reported:
        reports: ClassVar[dict[int, float]] = {2: -5.0}  # Of before an interruption.

        def report(self, validation: float, tenth: int) -> bool:
            reports[tenth] = validation
            return validation == -3.0

    study: Any = SimpleNamespace(trial_seconds=20.0)
    trial: Any = Reported()
    watch = _Watch(study, trial, None)
    for number, (seconds, validation) in enumerate(
        [(4.5, -4.8), (6.0, None), (6.5, -4.5), (8.0, -4.9), (19.0, -4.0), (20.0, -3.5)]
    ):
        watch(Epoch(number, None, validation, seconds))
    assert reports == {3: -4.8, 4: -4.5, 9: -4.0}
    lagging = _Watch(study, trial, None)
    with pytest.raises(_Lagging):
        lagging(Epoch(0, None, -3.0, 6.0))


def test_later_the_best_options_are_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("made.search.space._EXPLORING", 0.0)
    monkeypatch.setattr("made.search.search.MOST_NETWORKS", 3)
    folder = tmp_path / "run"

    def stop(epoch: Epoch) -> None:
        del epoch
        if (folder / "trial-002.made").exists():
            raise KeyboardInterrupt

    with pytest.raises(TrainingInterrupted):
        search(checkpoint=folder, on_epoch=stop)
    assert [trial["state"] for trial in tried(folder)] == ["COMPLETE", "COMPLETE", "RUNNING"]
    model, stopped = search_table(RowSource(BITS), folder=folder, resume=True, **SMALL)
    assert not stopped
    trials = tried(folder)
    assert trials[0] == trials[1] == trials[2]
    dropouts = [trial.get("dropout", 0.0) for trial in trials]
    # Whichever becomes the best is trained again, and the others once: then all was tried.
    assert sorted(set(dropouts)) == DROPOUTS
    assert max(dropouts.count(one) for one in dropouts) == 3
    seeds = [record.options["seed"] for record in model.records]
    assert len(set(seeds)) == len(seeds)


def test_pruned_trials_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch(_Watch):
        def __call__(self, epoch: Epoch) -> None:
            if self._trial.number in (1, 3):
                raise _Lagging(epoch.seconds)

    monkeypatch.setattr("made.search.trials._Watch", Watch)
    folder = tmp_path / "run"
    model, stopped = search_table(RowSource(BITS), folder=folder, **SMALL)
    assert not stopped
    counts = story(made.Density(model))
    assert (counts["trials"], counts["finished"], counts["pruned"]) == (6, 4, 2)
    states = [trial["state"] for trial in tried(folder)]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "search.json", "trial-001.made", "trial-003.made", "trial-005.made",
        "trial-006.made", JOURNAL
    ]  # fmt: skip


def test_trials_that_diverge_do_not_end_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = itertools.count()

    class Diverging(Fit):
        def run(self, splits: Any) -> Any:
            if next(runs) in failing:
                raise DivergedError("Training diverged.")
            return super().run(splits)

    monkeypatch.setattr("made.search.trials.Fit", Diverging)
    failing: Any = (0, 2)
    counts = story(search())
    assert (counts["trials"], counts["finished"], counts["failed"]) == (6, 4, 2)
    failing = range(1000)
    with pytest.raises(DivergedError, match="All 6 trials of the search diverged"):
        search()


def test_the_time_is_kept() -> None:
    options = SMALL | {"search": 4, "learning_rate": None, "patience": 10**6}
    started = time.monotonic()
    density = made.fit(BITS, **options)
    seconds = time.monotonic() - started
    # A sixth of the time each, and an eighth of it for the end.
    assert story(density)["trials"] >= 3
    assert 3 < seconds < 8


def test_a_mixed_table() -> None:
    options = {"orderings": None, "direct_input": False, "combine": "auto", "search": 60}
    density = search(MIXED, **options)
    assert story(density)["trials"] > len(DROPOUTS)
    assert {"orderings", "dropout"} >= set(story(density)["options"])
    assert np.isfinite(density.log_prob(MIXED)).all()


def test_a_search_for_questions() -> None:
    density = search(questions=True, orderings=None, combine="auto")
    assert density.combination == "mixture"
    assert density.record.options["n_orderings"] is None
    assert all(model.config.direct_input for model in density._fitted.ensemble.members.models)
    assert 0 < density.probability("x0 == 1", given="x1 == 1").value < 1


def test_the_folder_of_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        search(checkpoint=tmp_path / "run", on_epoch=stopping_after(2))
    for options, message in (
        ({"train": BITS[:90]}, "the training rows are others"),
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"batch_size": 50}, "batch_size was 40 and is now 50"),
    ):
        rows = options.pop("train", BITS)
        with pytest.raises(CheckpointError, match=message):
            search(rows, checkpoint=tmp_path / "run", resume=True, **options)


def test_nothing_to_resume_is_a_note(tmp_path: Path) -> None:
    with pytest.warns(MadeNotice, match="There is no search in .*run to resume: it starts from"):
        density = search(checkpoint=tmp_path / "run", resume=True)
    assert story(density)["trials"] == len(DROPOUTS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"max_time": "5m"},
            r"does not go with max_time: leave --max-time \(max_time=\.\.\.\) out",
        ),
        ({"max_epochs": 3}, "does not go with max_epochs"),
        ({"search": "soon"}, "A time is a number of seconds or a text like 90s"),
        ({"resume": True}, r"resume=True needs checkpoint=\.\.\., the folder of the search"),
        ({"combine": "best"}, "combine must be one of"),
        ({"preset": "mine"}, "preset must be one of"),
        ({"device": "abacus"}, "The device 'abacus' cannot be used"),
        ({"order_penalty": 0.5}, "needs orderings_per_step of 2"),
    ],
)
def test_bad_options(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError, match=message):
        search(**options)
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(OptionError, match=r'not installed: pip install "made\[search\]"'):
        search()


def test_optuna_is_imported_by_a_search_alone() -> None:
    script = "import sys, made.density, made.search; print('optuna' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
