"""The command line when something is wrong: exit codes, a line or two, and old files untouched."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import made
from made.cli import app

ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)
TINY = ["--hidden", "8", "--members", "2", "--max-epochs", "2", "--threads", "1"]
FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def fail(code: int, *arguments: object) -> str:
    """Run a command that must fail with ``code``; return what it says, a line or two."""
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") <= 2
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a model, good rows, and rows that are wrong in many ways."""
    place = tmp_path_factory.mktemp("errors")
    made.fit(ROWS, hidden=(8,), members=2, max_epochs=2, progress=False).save(place / "m.made")
    np.save(place / "rows.npy", ROWS)
    np.savez(place / "rows.npz", train=ROWS, test=ROWS)
    np.save(place / "empty.npy", ROWS[:0])
    np.save(place / "one.npy", ROWS[:1])
    np.save(place / "narrow.npy", ROWS[:, :3])
    np.save(place / "twos.npy", ROWS * 2)
    np.save(place / "infinite.npy", np.where(ROWS == 1, np.inf, 0.5))
    lines = [f"{n}.5,{n % 3}\n" for n in range(40)]
    (place / "bad.csv").write_text("size,count\n" + "".join(lines) + "large,1\n")
    (place / "cut.npy").write_bytes((place / "rows.npy").read_bytes()[:-7])
    (place / "ragged.csv").write_text("0,1,0,1\n0,1\n")
    (place / "ids.csv").write_text("id,x0,x1,x2,x3\nr1,0,1,0,1\nr2,1,1,0,0\n")
    (place / "scores.csv").write_text("log_prob,x0,x1,x2,x3\n-1,0,1,0,1\n")
    (place / "m.txt").write_text("text")
    return place


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test fail that gets as far as training."""

    def train(*args: object, **kwargs: object) -> Any:
        raise AssertionError("training was started")

    monkeypatch.setattr("made.fitting.networks._train", train)


BAD_TABLES = {
    "nowhere.csv": r"There is no file .*nowhere\.csv",
    "m.txt": r"what kind of file .*m\.txt is\. Known endings: \.csv, ",
    "cut.npy": r"Cannot read .*cut\.npy: .*Is it damaged\?",
    "ragged.csv": r"2 cells in line 2 and 4 in the first: '0,1'\. Correct that line",
}


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("name", BAD_TABLES)
def test_tables_that_cannot_be_used(folder: Path, tmp_path: Path, name: str) -> None:
    model, scores = tmp_path / "m.made", tmp_path / "scores.csv"
    model.write_bytes(b"an older model")
    scores.write_bytes(b"older scores")
    said = fail(FAILED, "fit", folder / name, "--out", model, *TINY)
    assert re.search(BAD_TABLES[name], said)
    said = fail(FAILED, "score", folder / "m.made", folder / name, "--out", scores)
    assert re.search(BAD_TABLES[name], said)
    assert model.read_bytes() == b"an older model"
    assert scores.read_bytes() == b"older scores"
    assert sorted(os.listdir(tmp_path)) == ["m.made", "scores.csv"]


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["empty.npy"], "The data has no rows"),
        (
            ["infinite.npy"],
            r"Column 'x0' is infinite in \d+ row\(s\), first at row \d+\. Replace infinities",
        ),
        (
            ["bad.csv"],
            r"Column 'size' has cells that are no number: 'large' \(first at row 40\).*--na",
        ),
        (["ids.csv", "--keep", "sex"], "keep names the column 'sex' and the data has none"),
        (["ids.csv", "--kind", "x0=integer", "--kind", "x9=binary"], "schema has a column 'x9'"),
        (["one.npy"], r"one row: there is none to validate on\. Pass more rows"),
        (["rows.npy", "--valid", "narrow.npy"], "In the validation data: .*4 columns.* has 3"),
        (["rows.npy", "--valid", "empty.npy"], "In the validation data: The data has no rows"),
        (["rows.npz", "--split", "dev"], r"no array 'dev'\. It holds train, test"),
        (["rows.npy", "--split", "test"], r"an array of an \.npz file; .*rows\.npy is a \.npy"),
        (["ids.csv", "--id", "key"], r"no column 'key'\. Columns: 'id', 'x0'"),
        (["rows.npy", "--id", "key"], "no column 'key': the data has no column names"),
    ],
)
def test_rows_that_cannot_be_fitted(
    folder: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    given = [str(folder / text) if "." in text else text for text in arguments]
    said = fail(FAILED, "fit", *given, "--out", tmp_path / "m.made", *TINY)
    assert re.search(expected, said)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["narrow.npy"], "The model has 4 columns and the data has 3"),
        (["rows.npz"], r"holds the arrays train, test\. Pick one with --split"),
        (["rows.npz", "--split", "dev"], r"no array 'dev'\. It holds train, test"),
        (["ids.csv", "--id", "id", "--out", "scores.npy"], r"holds numbers alone\. Write \.csv or"),
    ],
)
def test_rows_that_cannot_be_scored(
    folder: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    place = tmp_path / "scores.npy"
    place.write_bytes(b"older scores")
    given = [
        str(place if text == place.name else folder / text) if "." in text else text
        for text in arguments
    ]
    assert re.search(expected, fail(FAILED, "score", folder / "m.made", *given))
    assert place.read_bytes() == b"older scores"


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (["--hidden", "wide"], "like 500,500; got 'wide'"),
        (["--kind", "x0"], "--kind takes COLUMN=KIND, like age=integer; got 'x0'"),
        (["--kind", "x0=intger"], "the kind 'intger'. Did you mean 'integer'"),
        (["--schema", "nowhere.json"], "Cannot read the schema nowhere.json"),
        (["--hidden", "0"], "between 1 and 1000000 units, got 0"),
        (["--max-epochs", "-1"], "max_epochs must be .*, got -1"),
        (["--max-time", "soon"], "like 90s, 10m, 1h30m; .*'soon'"),
        (["--orderings", "many"], '"auto", "all" or a number, got \'many\''),
        (["--members", "0"], "members must be .*, got 0"),
        (["--activation", "swish"], "one of relu, elu, .*; got 'swish'"),
        (["--dropout", "1"], r"dropout must lie in \[0, 1\), got 1"),
        (["--preset", "best"], "preset must be one of default, paper; got 'best'"),
        (["--seed", "-1"], "seed must lie between 0 and .*, got -1"),
        (["--threads", "0"], "threads must be .*, got 0"),
        (["--device", "abacus"], "The device 'abacus' cannot be used"),
    ],
)
def test_options_that_cannot_work(
    folder: Path, tmp_path: Path, option: list[str], expected: str
) -> None:
    out = tmp_path / "m.made"
    said = fail(WRONG_USE, "fit", folder / "rows.npy", "--out", out, *TINY, *option)
    assert re.search(expected, said)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    "arguments", [[], ["guess"], ["fit"], ["info"], ["sample", "m.made"], ["info", "m", "--loud"]]
)
def test_commands_that_are_not_understood(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == WRONG_USE
    assert result.stdout == ""
    assert result.stderr.startswith("Usage: made")


@pytest.mark.usefixtures("untrained")
def test_output_paths_are_checked_before_training(folder: Path, tmp_path: Path) -> None:
    data = folder / "rows.npy"
    said = fail(FAILED, "fit", data, "--out", tmp_path, *TINY)
    assert f"Cannot write {tmp_path}: it is a folder. Give the name of a file." in said
    missing = tmp_path / "nowhere" / "m.made"
    said = fail(FAILED, "fit", data, "--out", missing, *TINY)
    assert f"Cannot write {missing}: the folder {tmp_path / 'nowhere'} does not exist." in said
    said = fail(FAILED, "fit", data, "--out", tmp_path / "m.made", "--checkpoint", missing, *TINY)
    assert f"Cannot write {missing}" in said
    assert "it is a folder" in fail(FAILED, "demo", "--out", tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.usefixtures("untrained")
def test_a_checkpoint_is_never_overwritten(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "m.made.checkpoint"
    kept.write_bytes(b"hours of work")
    said = fail(WRONG_USE, "fit", folder / "rows.npy", "--out", tmp_path / "m.made", *TINY)
    assert re.search(r"m\.made\.checkpoint holds a run that was interrupted.*--resume", said)
    assert kept.read_bytes() == b"hours of work"


@pytest.mark.usefixtures("untrained")
def test_what_is_read_is_never_replaced(folder: Path, tmp_path: Path) -> None:
    data, model = tmp_path / "rows.csv", tmp_path / "m.made"
    data.write_text("0,1,0,1\n1,1,0,0\n")
    model.write_bytes((folder / "m.made").read_bytes())
    before = data.read_bytes(), model.read_bytes()
    (tmp_path / "link.csv").symlink_to(data)
    for arguments in (
        ["fit", data, "--out", data, *TINY],
        ["fit", folder / "rows.npy", "--valid", data, "--out", tmp_path / "link.csv", *TINY],
        ["score", model, data, "--out", data],
    ):
        said = fail(WRONG_USE, *arguments)
        assert "would replace what is read. Choose another name." in said
    assert (data.read_bytes(), model.read_bytes()) == before


@pytest.mark.parametrize("command", ["score", "sample", "info"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nowhere.made", r"There is no model file .*nowhere\.made"),
        ("rows.npy", r"rows\.npy is not a model file"),
        ("m.txt", r"m\.txt is not a model file"),
    ],
)
def test_files_that_are_no_model(folder: Path, command: str, name: str, expected: str) -> None:
    more = {"score": [folder / "rows.npy"], "sample": ["-n", "3"], "info": []}[command]
    assert re.search(expected, fail(FAILED, command, folder / name, *more))


def test_scores_may_not_go_under_the_name_of_the_identifier(folder: Path) -> None:
    said = fail(WRONG_USE, "score", folder / "m.made", folder / "scores.csv", "--id", "log_prob")
    assert "--id log_prob is the name of the scores. Rename that column." in said


def test_a_negative_number_of_rows(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "drawn.csv"
    place.write_bytes(b"older rows")
    said = fail(WRONG_USE, "sample", folder / "m.made", "-n", -1, "--out", place)
    assert "The number of rows to draw must be at least 0, got -1." in said
    assert place.read_bytes() == b"older rows"


@pytest.mark.parametrize("name", ["drawn.xlsx", "nowhere/drawn.csv", "."])
def test_output_paths_of_samples_and_scores(folder: Path, tmp_path: Path, name: str) -> None:
    for arguments in (["sample", folder / "m.made", "-n", 3], ["score", folder / "m.made", "x"]):
        said = fail(FAILED, *arguments, "--out", tmp_path / name)
        assert re.search(r"Known endings: \.csv|does not exist\. Create it first", said)


def test_debug_shows_the_traceback(folder: Path) -> None:
    result = run("info", folder / "rows.npy", "--debug")
    assert result.exit_code == FAILED
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_ctrl_c_keeps_the_best_weights_and_says_how_to_go_on(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **kwargs: Any) -> made.Density:
        kwargs["checkpoint"].write_bytes(b"a run")
        raise made.TrainingInterrupted(made.load(folder / "m.made"), kwargs["checkpoint"])

    monkeypatch.setattr("made.density.fit_timed", stop)
    out = tmp_path / "m.made"
    out.write_bytes(b"an older model")
    result = run("fit", folder / "rows.npy", "--out", out, *TINY)
    assert result.exit_code == INTERRUPTED
    assert result.stdout == ""
    assert f"are kept in {out}.checkpoint." in result.stderr
    assert "Go on with the same command and --resume" in result.stderr
    assert out.read_bytes() == b"an older model"
    assert (tmp_path / "m.made.checkpoint").read_bytes() == b"a run"


def test_ctrl_c_while_drawing_leaves_the_old_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("made.ensemble.Ensemble.sample", stop)
    place = tmp_path / "drawn.csv"
    place.write_bytes(b"older rows")
    result = run("sample", folder / "m.made", "-n", 5, "--out", place)
    assert (result.exit_code, result.stderr) == (INTERRUPTED, "Stopped.\n")
    assert place.read_bytes() == b"older rows"
    assert os.listdir(tmp_path) == ["drawn.csv"]


def test_json_is_whole_or_absent(folder: Path) -> None:
    good = run("score", folder / "m.made", folder / "rows.npy", "--json")
    assert json.loads(good.stdout)["n_rows"] == 60
    fail(FAILED, "score", folder / "m.made", folder / "twos.npy", "--json")
