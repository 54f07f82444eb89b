"""A search tries what it may, keeps what is fixed, and repeats no trial."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from made.errors import CheckpointError, OptionError
from made.fitting import Regime, RowSource
from made.search.folder import JOURNAL, remove_search
from made.search.space import BITS as BITS_AXES
from made.search.space import (
    FIRST_OF_BITS,
    MIXED_FIRST,
    MIXED_OF_FEW_ORDERINGS,
    Choice,
    LogRange,
    label,
    space_of,
)
from made.search.study import Study
from search_cases import BITS, DROPOUTS, MIXED, RUN, SMALL, bits_space


@pytest.mark.parametrize("n_rows", [50, 1000])
@pytest.mark.parametrize("rows", [BITS, MIXED], ids=["bits", "mixed"])
def test_every_place_of_a_space_is_found_again(rows: Any, n_rows: int) -> None:
    space = space_of(RowSource(rows).read().schema, n_rows, {})
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


def test_the_first_trials_go_by_rows_and_columns() -> None:
    wide = np.random.default_rng(0).integers(0, 2, (30, 12_000))
    schemas = {columns: RowSource(wide[:, :columns]).read().schema for columns in (6, 500, 12_000)}
    for n_columns, n_rows, first, n_trials, exploring in (
        (6, 1_000, FIRST_OF_BITS[Regime.ROWS_ENOUGH], 5, 0.6),
        (6, 5_000, FIRST_OF_BITS[Regime.MANY_ROWS], 5, 0.6),
        (500, 2_000, FIRST_OF_BITS[Regime.MANY_ROWS], 5, 0.6),
        (500, 1_999, FIRST_OF_BITS[Regime.FEW_ROWS], 5, 0.6),
        (500, 999, FIRST_OF_BITS[Regime.SCARCE_ROWS], 5, 0.6),
        (500, 40_000, FIRST_OF_BITS[Regime.IMAGES], 24, 0.25),
        # As many cells, but of few rows all the same.
        (12_000, 1_999, FIRST_OF_BITS[Regime.SCARCE_ROWS], 5, 0.6),
    ):
        space = space_of(schemas[n_columns], n_rows, {})
        found = (space.first, space.n_trials, space.exploring)
        assert found == (first, n_trials, exploring)
    levels = RowSource(pd.DataFrame({"level": list("abc") * 10})).read().schema
    assert space_of(levels, 4_999, {}).first == MIXED_FIRST
    assert space_of(levels, 5_000, {}).first == MIXED_OF_FEW_ORDERINGS


def test_a_trial_that_cannot_be_is_no_trial() -> None:
    space = bits_space(order_penalty=0.5)
    assert space.complete({"orderings_per_step": 1}) is None
    assert space.complete({"orderings_per_step": 2}) is not None


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
    assert space.size == len(space.first) + len(DROPOUTS)
    study = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=False)
    tried = []
    while (trial := study.next_trial(space)) is not None:
        tried.append(space.complete(trial.options))
        trial.finish("complete", 1.0, 0.0)
    assert len({label(options) for options in tried}) == len(tried) <= space.size
    assert sorted(options["dropout"] for options in tried if options) == DROPOUTS


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
    for value in (-1.0, -4.0, -1.0, -4.0):
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
    # One that is run again is wanted for itself.
    lagging.finish("complete", 1.0, -1.0)
    again = study.again(lagging, bits_space())
    assert (lagging.is_repeat, again.is_repeat) == (False, True)
    assert not again.report(-9.0, 3)


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


def test_a_trial_is_run_again_with_another_number(tmp_path: Path) -> None:
    study, space = Study(tmp_path / "s", RUN, 1.0, seed=0, resume=False), bits_space()
    first = study.next_trial(space)
    assert first is not None
    first.finish("complete", 1.0, -1.0)
    second = study.again(first, space)
    assert (second.number, second.options) == (1, first.options)
    # What was interrupted comes first here too.
    assert study.again(first, space).number == 1
    second.finish("complete", 1.0, -1.0)
    assert study.count_like(first) == study.count_like(second) == 2
    # And it counts as tried.
    other = study.next_trial(space)
    assert other is not None
    assert space.complete(other.options) != space.complete(first.options)
    assert study.count_like(other) == 1
