"""A search repeats no trial, keeps what is fixed, goes on after a stop, and ends in time."""

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
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner, Result

import made
from made import modelfile
from made.cli import app
from made.cli.running import set_started
from made.density import TrainingInterrupted
from made.errors import CheckpointError, DivergedError, MadeNotice, OptionError
from made.fitting import Fit, read_splits
from made.search.folder import JOURNAL, remove_search
from made.search.keeping import keep_best, select
from made.search.search import search_table
from made.search.space import BITS as BITS_AXES
from made.search.space import Choice, LogRange, Space, label, space_of
from made.search.study import Study
from made.search.trials import _Lagging, _Watch
from made.training import loop
from made.training.checkpoint import load_checkpoint
from made.training.state import Epoch
from made.training.step import TrainingStep

_random = np.random.default_rng(0)
_halves = _random.integers(0, 2, size=(120, 1))
BITS = (_random.random((120, 6)) < 0.2 + 0.6 * _halves).astype(np.uint8)
MIXED = pd.DataFrame(
    {
        "kind": _random.choice(["a", "b", "c"], 80),
        "size": np.round(_random.normal(10, 3, 80), 2),
        "count": _random.poisson(3, 80),
    }
)
# All but dropout is fixed: five trials, each ended by its patience, however slow the machine.
SMALL: dict[str, Any] = {
    "hidden": (8,), "members": 2, "batch_size": 40, "patience": 2, "learning_rate": 0.05,
    "orderings": 2, "weight_decay": 0.01, "orderings_per_step": 1, "threads": 1, "device": "cpu",
    "warm_up": 3, "average_decay": 0.5, "combine": "mixture", "search": 60, "conditioning": True,
}  # fmt: skip
RUN = {"training_rows_hash": "1", "seed": 0, "options": {"preset": "default"}}


def search(rows: Any = BITS, **options: Any) -> made.Density:
    return made.fit(rows, **SMALL | options)


def tried(folder: Path) -> list[dict[str, Any]]:
    """Return the options and the states of all trials in a folder, from the journal itself."""
    study = Study(folder, identity(folder), 1.0, seed=0, resume=True)
    return [{"state": trial.state} | trial.options for trial in study.trials]


def identity(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "search.json").read_text())["run"]


def story(density: made.Density) -> dict[str, Any]:
    return density.record.options["search"]


def bits_space(n_rows: int = 1000, **fixed: Any) -> Space:
    return space_of(read_splits(BITS).schema, n_rows, fixed)


def stopping_after(n_epochs: int) -> Any:
    """Return a callback that stops everything, as a second Ctrl-C does, after so many epochs."""
    seen = itertools.count(1)

    def stop(epoch: Any) -> None:
        del epoch
        if next(seen) == n_epochs:
            raise KeyboardInterrupt

    return stop


# The space


@pytest.mark.parametrize("n_rows", [50, 1000])
@pytest.mark.parametrize("rows", [BITS, MIXED], ids=["bits", "mixed"])
def test_every_place_of_a_space_is_found_again(rows: Any, n_rows: int) -> None:
    space = space_of(read_splits(rows).schema, n_rows, {})
    assert space.first[0] == {}
    assert all(space.complete(options) is not None for options in space.first)
    # By rows the recipe itself may be one of the others: a study runs it once.
    assert len({label(space.complete(options)) for options in space.first}) >= 4
    axes = [
        [label(value) for value in axis.values] if isinstance(axis, Choice) else [axis.low]
        for axis in space.axes
    ]
    names = [axis.name for axis in space.axes]
    for places in itertools.islice(itertools.product(*axes), 300):
        wanted = dict(zip(names, places, strict=True))
        complete = space.complete(space.options(wanted))
        assert complete is not None
        assert space.place(complete) == wanted


def test_what_is_fixed_is_in_no_trial() -> None:
    space = bits_space(hidden=(30,), learning_rate=0.5, residual=False)
    assert not {"hidden", "learning_rate"} & {axis.name for axis in space.axes}
    assert all(not {"hidden", "learning_rate"} & set(options) for options in space.first)
    # A value of an axis that sets several options at once gives way too.
    space = bits_space(residual=False)
    deep = next(axis for axis in space.axes if axis.name == "hidden")
    assert isinstance(deep, Choice)
    places = {axis.name: axis.low if isinstance(axis, LogRange) else label(axis.values[-1])
              for axis in space.axes}  # fmt: skip
    assert "residual" not in space.options(places)


def test_a_trial_that_cannot_be_is_no_trial() -> None:
    space = bits_space(order_penalty=0.5)
    assert space.complete({"orderings_per_step": 1}) is None
    assert space.complete({"orderings_per_step": 2}) is not None


# The study


def test_no_trial_is_repeated_however_often_a_study_is_opened(tmp_path: Path) -> None:
    space = bits_space()
    seen = []
    for number in range(14):
        study = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=number > 0)
        trial = study.next_trial(space)
        assert trial is not None
        assert trial.number == number
        seen.append(label(space.complete(trial.options)))
        trial.finish(("complete", "fail")[number % 2], 1.0, None if number % 2 else -number / 10)
    assert len(set(seen)) == len(seen)
    trials = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=True).trials
    rates = [trial.options.get("learning_rate") for trial in trials[len(space.first) :]]
    assert len(set(rates)) > 6  # Some are alike in two digits, and differ elsewhere.


def test_a_seed_gives_the_same_trials(tmp_path: Path) -> None:
    seen = []
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        study = Study(tmp_path / name, RUN, 1.0, seed=seed, resume=False)
        for number in range(7):
            trial = study.next_trial(bits_space())
            assert trial is not None
            trial.finish("complete", 1.0, -float(number))
        seen.append([trial.options for trial in study.trials])
    assert seen[0] == seen[1] != seen[2]


def test_a_space_is_used_up(tmp_path: Path) -> None:
    fixed = {name: SMALL[name] for name in SMALL if name in {axis.name for axis in BITS_AXES}}
    space = bits_space(**fixed)
    assert space.size == len(space.first) + 5
    study = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=False)
    tried = []
    while (trial := study.next_trial(space)) is not None:
        tried.append(space.complete(trial.options))
        trial.finish("complete", 1.0, 0.0)
    assert len({label(options) for options in tried}) == len(tried) <= space.size
    assert sorted(options["dropout"] for options in tried if options) == [0.0, 0.1, 0.2, 0.3, 0.5]


def test_a_trial_that_was_interrupted_comes_first(tmp_path: Path) -> None:
    study = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=False)
    first = study.next_trial(bits_space())
    again = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=True).next_trial(bits_space())
    assert first is not None
    assert again is not None
    assert (again.number, again.options) == (first.number, first.options)


def test_a_journal_that_was_cut_is_read(tmp_path: Path) -> None:
    study = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=False)
    trial = study.next_trial(bits_space())
    assert trial is not None
    trial.finish("complete", 1.0, -3.5)
    journal = tmp_path / "s" / JOURNAL
    with open(journal, "a") as file:
        file.write('{"op_code":4,"wor')
    journal.with_name(JOURNAL + ".lock").write_text("")
    again = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=True)
    assert [trial.validation for trial in again.of_state("complete")] == [-3.5]
    assert again.next_trial(bits_space()) is not None


def test_trials_behind_the_median_are_ended(tmp_path: Path) -> None:
    study = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=False)
    for value in (-1.0, -4.0):
        trial = study.next_trial(bits_space())
        assert trial is not None
        # Too few are finished yet, however bad.
        assert not any(trial.report(value, tenth) for tenth in (2, 3, 5))
        trial.finish("complete", 1.0, value)
    lagging = study.next_trial(bits_space())
    assert lagging is not None
    assert not lagging.report(-9.0, 2)
    assert lagging.report(-9.0, 3)
    assert not lagging.report(-2.1, 5)


def test_folders_that_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    Study(folder, RUN, 1.0, seed=0, resume=False)
    with pytest.raises(OptionError, match=r"holds a search that was interrupted\. Go on with"):
        Study(folder, RUN, 1.0, seed=0, resume=False)
    with pytest.raises(CheckpointError, match="another search: the training rows are others"):
        Study(folder, RUN | {"training_rows_hash": "2"}, 1.0, seed=0, resume=True)
    other = RUN | {"seed": 1, "options": {"preset": "paper"}}
    with pytest.raises(CheckpointError, match="preset was 'default' and is now 'paper'; seed"):
        Study(folder, other, 1.0, seed=1, resume=True)
    (folder / "search.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"search\.json cannot be read"):
        Study(folder, RUN, 1.0, seed=0, resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(OptionError, match=r"in a folder, and .*file is a file"):
        Study(tmp_path / "file", RUN, 1.0, seed=0, resume=False)
    with pytest.raises(OptionError, match=r"a folder of its own, and .* holds other files"):
        Study(tmp_path, RUN, 1.0, seed=0, resume=True)


def test_only_the_files_of_a_search_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    Study(folder, RUN, 1.0, seed=0, resume=False)
    (folder / "trial-001.made").write_text("")
    (folder / "notes.txt").write_text("mine")
    remove_search(folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    remove_search(folder)  # No search: nothing is touched.
    assert (folder / "notes.txt").read_text() == "mine"


# Whole searches


def test_the_model_is_normalised_and_no_worse_than_the_best_trial(tmp_path: Path) -> None:
    splits = read_splits(BITS)
    density = search(splits.train, valid=splits.valid)
    every_row = np.array(list(itertools.product([0, 1], repeat=6)))
    assert np.exp(density.log_prob(every_row)).sum() == pytest.approx(1, abs=1e-5)
    assert story(density)["trials"] == story(density)["finished"] == 5
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
    assert story(density)["trials"] == 5
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
    assert sorted(runs[:2] + runs[3:]) == [0.0, 0.1, 0.2, 0.3, 0.5]


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


def test_pruned_trials_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Watch(_Watch):
        def __call__(self, epoch: Epoch) -> None:
            if self._trial.number in (1, 3):
                raise _Lagging(epoch.seconds)

    monkeypatch.setattr("made.search.trials._Watch", Watch)
    folder = tmp_path / "run"
    model, stopped = search_table(BITS, folder=folder, **SMALL)
    assert not stopped
    counts = story(made.Density(model))
    assert (counts["trials"], counts["finished"], counts["pruned"]) == (5, 3, 2)
    states = [trial["state"] for trial in tried(folder)]
    assert states == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED", "COMPLETE"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "search.json", "trial-001.made", "trial-003.made", "trial-005.made", JOURNAL
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
    assert (counts["trials"], counts["finished"], counts["failed"]) == (5, 3, 2)
    failing = range(1000)
    with pytest.raises(DivergedError, match="All 5 trials of the search diverged"):
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
    assert story(density)["trials"] > 5
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
    assert story(density)["trials"] == 5


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


# What is kept


def fitted(rows: np.ndarray, seed: int, **options: Any) -> modelfile.Fitted:
    chosen: dict[str, Any] = {
        "hidden": (8,), "members": 2, "max_epochs": 3, "threads": 1, "combine": "mixture"
    }  # fmt: skip
    model, _ = Fit(**chosen | options, seed=seed).run(read_splits(rows))
    return model


def test_a_network_that_does_not_help_is_left_out() -> None:
    rows = np.zeros(200)
    rows[::2] = -3.0
    worse, other = rows - 1.0, np.roll(rows, 1)
    assert select([(worse, 16), (rows, 16), (other, 16), (rows, 16)]) == [1, 2]
    assert select([(rows, 16)]) == [0]
    # Many good ones: six are enough.
    many = [(np.roll(rows, k) * (1 + k / 10), 16) for k in range(12)]
    assert len(select(many)) <= 6


def test_networks_of_all_orderings_have_more_members() -> None:
    splits = read_splits(BITS)
    one = fitted(BITS, 0, orderings="all")
    how: dict[str, Any] = {"method": "mixture", "seed": 0}
    kept = keep_best([one], splits.valid, **how, max_seconds=600.0)
    before = one.record.validation_log_prob
    assert kept.combined.mixture_log_prob is not None
    assert kept.combined.mixture_log_prob >= before
    # Only if they are no worse, if there is time, and if nobody said how many.
    assert kept.ensemble.n_members in (2, 64)
    assert keep_best([one], splits.valid, **how, max_seconds=0.0).ensemble.n_members == 2
    few = keep_best([one], splits.valid, **how, max_seconds=600.0, widen=False)
    assert few.ensemble.n_members == 2
    listed = fitted(BITS, 0, orderings=2)
    assert keep_best([listed], splits.valid, **how, max_seconds=600.0).ensemble.n_members == 2


# The command line


def run(*arguments: object) -> Result:
    # A budget counts from when the process began, which here is that of the whole suite.
    set_started(time.monotonic())
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a command that searches, in a folder with a table and nothing else."""
    monkeypatch.chdir(tmp_path)
    np.save("bits.npy", BITS)
    options = {
        name: value for name, value in SMALL.items() if name not in ("hidden", "conditioning")
    }
    flags = [[f"--{name.replace('_', '-')}", str(value)] for name, value in options.items()]
    said = ["fit", "bits.npy", "--out", "m.made", "--hidden", "8", "--conditioning"]
    return said + list(itertools.chain(*flags))


def test_the_command_prints_facts(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "trials      5, 0 ended early, 0 diverged\n" in result.stdout
    assert "nats a row: " in result.stdout
    assert result.stderr == ""
    assert sorted(path.name for path in Path().iterdir()) == ["bits.npy", "m.made"]


def test_ctrl_c_and_resume(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(TrainingStep):
        def __call__(self, number: int, *arguments: Any) -> torch.Tensor:
            if number == 2 and Path("m.made.search/trial-002.made").exists():
                signal.raise_signal(signal.SIGINT)
            return super().__call__(number, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "TrainingStep", Interrupted)
        stopped = run(*command, "--json")
    assert stopped.exit_code == 130, stopped.output
    assert stopped.stdout == ""
    assert "Stopped after 2 finished trial(s). They are kept in m.made.search; " in stopped.stderr
    assert "same command and --resume; add --search 0 to write what there is" in stopped.stderr
    assert not Path("m.made").exists()
    again = run(*command)
    assert again.exit_code == 2
    assert "m.made.search holds a search that was interrupted" in again.stderr
    resumed = run(*command, "--resume", "--json")
    assert resumed.exit_code == 0, resumed.output
    content = json.loads(resumed.stdout)["search"]
    assert (content["trials"], content["pruned"], content["failed"]) == (5, 0, 0)
    assert 1 <= len(content["networks"]) <= 5
    for network in content["networks"]:
        assert set(network) == {"trial", "options", "validation_log_prob"}
    assert sorted(path.name for path in Path().iterdir()) == ["bits.npy", "m.made"]


def test_the_command_refuses_two_times(command: list[str]) -> None:
    result = run(*command, "--max-time", "5m")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: search gives the time for everything, and does not go with max_time: leave "
        "--max-time (max_time=...) out.\n"
    )
    assert not Path("m.made.search").exists()
