"""The command line: what the commands write, print and leave alone when all goes well."""

from __future__ import annotations

import inspect
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from typer.testing import CliRunner, Result

import made
from made.cli import app
from made.cli.fit import fit as fit_command
from made.table import Table, read_table, without_column

NAMES = ["a", "b", "c", "d"]
ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)
IDS = [f"{number:03d}" for number in range(60)]
TINY = ["--hidden", "8", "--members", "2", "--max-epochs", "2", "--threads", "1"]
TINY += ["--combine", "mixture"]
LINES = [",".join(map(str, row)) for row in ROWS]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> str:
    """Run a command that must succeed without a word on standard error; return its output."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def one_object(text: str) -> dict[str, Any]:
    """Return the JSON object that ``text`` is: a line and nothing else."""
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    content = json.loads(text)
    assert isinstance(content, dict)
    return content


def numbers(table: Table, d: int) -> np.ndarray:
    """Return column ``d`` as numbers, whatever the file had them as."""
    cells = table.cells(d)
    return np.array([float(str(cells.cell(row))) for row in range(table.n_rows)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of tables in every format, and a model of them."""
    place = tmp_path_factory.mktemp("cli")
    np.save(place / "rows.npy", ROWS)
    np.savez(place / "rows.npz", train=ROWS[:40], valid=ROWS[40:55], test=ROWS[55:])
    (place / "plain.csv").write_text("\n".join(LINES) + "\n")
    table = ["id,a,b,c,d", *(f"{id_},{line}" for id_, line in zip(IDS, LINES, strict=True))]
    (place / "rows.csv").write_text("\n".join(table) + "\n")
    (place / "empty.csv").write_text("a,b,c,d\n")
    succeed("fit", place / "rows.csv", "--id", "id", "--out", place / "m.made", *TINY)
    return place


@pytest.fixture(scope="module")
def density(folder: Path) -> made.Density:
    return made.load(folder / "m.made")


def test_fit_prints_facts(folder: Path, tmp_path: Path) -> None:
    out = succeed("fit", folder / "rows.npy", "--out", tmp_path / "m.made", *TINY)
    assert re.search(r"^columns +4$", out, re.MULTILINE)
    assert re.search(r"^members +2, mixture$", out, re.MULTILINE)
    assert re.search(r"^validation +-\d\.\d+ \+- \d\.\d+ nats a row, 6 rows$", out, re.MULTILINE)
    # The checkpoint of a run that is done is gone.
    assert [path.name for path in tmp_path.iterdir()] == ["m.made"]


def test_fit_as_json(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "m.made"
    content = one_object(succeed("fit", folder / "rows.npz", "--out", place, "--json", *TINY))
    record = made.load(place).record
    assert content["model"] == str(place)
    assert content["validation_log_prob"] == record.validation_log_prob
    assert content["epochs"] == record.epochs == 2
    assert content["seconds"] > 0
    # The splits of the archive are found.
    assert content["n_train_rows"] == 40
    assert record.n_validation_rows == 15


@pytest.mark.parametrize(
    ("data", "options", "n_train", "n_valid"),
    [
        ("rows.npz", ["--split", "test"], 4, 1),
        ("rows.npz", ["--split", "train"], 36, 4),
        ("rows.npy", ["--valid", "rows.npz"], 60, 15),
        ("plain.csv", [], 54, 6),
        ("plain.csv", ["--no-header"], 54, 6),
        ("rows.csv", ["--id", "id", "--valid", "rows.csv"], 60, 60),
    ],
)
def test_fit_takes_its_rows_from(
    folder: Path, tmp_path: Path, data: str, options: list[str], n_train: int, n_valid: int
) -> None:
    there = [str(folder / option) if "." in option else option for option in options]
    result = run("fit", folder / data, *there, "--out", tmp_path / "m.made", *TINY)
    assert result.exit_code == 0, result.output
    record = made.load(tmp_path / "m.made").record
    assert (record.n_train_rows, record.n_validation_rows) == (n_train, n_valid)


def test_fit_repeats_exactly(folder: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        out = tmp_path / f"{name}.made"
        succeed("fit", folder / "rows.npy", "--out", out, "--seed", seed, *TINY)
    one, two, other = (
        made.load(tmp_path / f"{name}.made").log_prob(ROWS) for name in ("one", "two", "other")
    )
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_fit_replaces_an_older_model(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "m.made"
    place.write_bytes(b"an older model")
    succeed("fit", folder / "rows.npy", "--out", place, *TINY)
    assert made.load(place).columns == ["x0", "x1", "x2", "x3"]


def test_constant_columns_are_one_note(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS * [1, 0, 1, 1])
    result = run("fit", tmp_path / "rows.npy", "--out", tmp_path / "m.made", "--json", *TINY)
    assert result.exit_code == 0
    one_object(result.stdout)
    assert result.stderr.startswith("Note: 1 column(s) never change in the training rows: 'x1'.")
    assert result.stderr.count("\n") == 1


def test_the_library_has_every_option_of_the_command() -> None:
    command = set(inspect.signature(fit_command).parameters)
    library = set(inspect.signature(made.fit).parameters)
    # --kind is the short way to say a part of --schema.
    assert command - library == {"data", "out", "no_header", "kind", "as_json", "debug"}
    assert library - command == {"train", "header", "on_epoch", "progress"}


@pytest.mark.parametrize("command", ["fit", "score", "sample", "info", "demo"])
def test_every_command_has_the_common_options(command: str) -> None:
    text = succeed(command, "--help")
    for option in ("--seed", "--json", "--debug"):
        assert option in text


def test_score_as_json(folder: Path, density: made.Density) -> None:
    text = succeed(
        "score", folder / "m.made", folder / "rows.npz", "--split", "test", "--json", "--threads", 1
    )
    content = one_object(text)
    scores = density.log_prob(ROWS[55:])
    assert content["n_rows"] == 5
    assert content["mean_log_prob"] == pytest.approx(scores.mean(), abs=1e-6)
    assert content["standard_error"] == pytest.approx(scores.std(ddof=1) / math.sqrt(5), abs=1e-6)
    assert content["bits_per_column"] == pytest.approx(-scores.mean() / math.log(2) / 4, abs=1e-6)
    assert content["exact"] is True


def test_score_prints_facts(folder: Path) -> None:
    text = succeed("score", folder / "m.made", folder / "plain.csv")
    assert re.search(r"^rows +60$", text, re.MULTILINE)
    assert re.search(r"^mean log p +-\d\.\d{4} \+- \d\.\d{4} nats a row$", text, re.MULTILINE)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_score_carries_identifiers_through(
    folder: Path, tmp_path: Path, density: made.Density, ending: str
) -> None:
    out = tmp_path / f"scores{ending}"
    text = succeed("score", folder / "m.made", folder / "rows.csv", "--id", "id", "--out", out)
    assert str(out) in text
    rest, ids = without_column(read_table(out), "id")
    assert rest.names == ["log_prob"]
    # As they are written: 007 is not 7.
    assert ids.tolist() == IDS
    np.testing.assert_allclose(numbers(rest, 0), density.log_prob(ROWS), atol=1e-6)


def test_score_writes_arrays(folder: Path, tmp_path: Path, density: made.Density) -> None:
    out = tmp_path / "scores.npy"
    succeed("score", folder / "m.made", folder / "rows.npy", "--out", out, "--json")
    np.testing.assert_allclose(np.load(out), density.log_prob(ROWS), atol=1e-6)
    numbered = tmp_path / "numbered.csv"
    numbered.write_text("id,a,b,c,d\n" + "".join(f"{n + 5},{LINES[n]}\n" for n in range(3)))
    succeed("score", folder / "m.made", numbered, "--id", "id", "--out", out)
    assert np.load(out)[:, 0].tolist() == [5, 6, 7]


@pytest.mark.parametrize(("n_rows", "mean", "error"), [(0, None, None), (1, float, 0.0)])
def test_score_of_few_rows(
    folder: Path, tmp_path: Path, n_rows: int, mean: type | None, error: float | None
) -> None:
    np.save(tmp_path / "rows.npy", ROWS[:n_rows])
    result = run("score", folder / "m.made", tmp_path / "rows.npy", "--json")
    assert result.exit_code == 0
    content = one_object(result.stdout)
    assert content["n_rows"] == n_rows
    assert content["standard_error"] == error
    assert content["mean_log_prob"] is None if mean is None else content["mean_log_prob"] < 0
    assert ("the data has no rows" in result.stderr) == (n_rows == 0)


def test_score_writes_no_rows(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    assert run("score", folder / "m.made", folder / "empty.csv", "--out", out).exit_code == 0
    table = read_table(out)
    assert (table.names, table.n_rows) == (["log_prob"], 0)


def test_sample_prints_csv(folder: Path, tmp_path: Path, density: made.Density) -> None:
    text = succeed("sample", folder / "m.made", "-n", 5, "--seed", 3)
    (tmp_path / "drawn.csv").write_text(text)
    table = read_table(tmp_path / "drawn.csv")
    assert table.names == NAMES
    drawn = density.sample(5, seed=3)
    assert [numbers(table, d).tolist() for d in range(4)] == [
        drawn[name].to_pylist() for name in NAMES
    ]


def test_sample_prints_many_rows_under_one_header(folder: Path) -> None:
    lines = succeed("sample", folder / "m.made", "-n", 70_000).splitlines()
    assert len(lines) == 70_001
    assert set(lines[1:]) <= {",".join(f"{number:04b}") for number in range(16)}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".npy"])
@pytest.mark.parametrize("n_rows", [0, 7])
def test_sample_writes_files(
    folder: Path, tmp_path: Path, density: made.Density, n_rows: int, ending: str
) -> None:
    out = tmp_path / f"drawn{ending}"
    text = succeed("sample", folder / "m.made", "-n", n_rows, "--out", out, "--seed", 5)
    assert re.search(rf"^rows +{n_rows}$", text, re.MULTILINE)
    table = read_table(out)
    assert table.names == (None if ending == ".npy" else NAMES)
    drawn = density.sample(n_rows, seed=5)
    for d, name in enumerate(NAMES):
        assert numbers(table, d).tolist() == drawn[name].to_pylist()


def test_sample_as_json(folder: Path, tmp_path: Path, density: made.Density) -> None:
    content = one_object(succeed("sample", folder / "m.made", "-n", 3, "--json"))
    assert content["n_rows"] == 3
    assert content["columns"] == density.sample(3).to_pydict()
    out = tmp_path / "drawn.parquet"
    content = one_object(succeed("sample", folder / "m.made", "-n", 3, "--json", "--out", out))
    assert content["out"] == str(out)
    assert pyarrow.parquet.read_table(out).equals(density.sample(3))


def test_info_prints_facts(folder: Path) -> None:
    text = succeed("info", folder / "m.made")
    assert re.search(r"^columns +4: a, b, c, d$", text, re.MULTILINE)
    assert re.search(r"^members +2, mixture$", text, re.MULTILINE)
    assert re.search(r"^trained on +54 rows, \d+ s$", text, re.MULTILINE)
    assert re.search(r"^epochs +2, best [12]$", text, re.MULTILINE)
    assert re.search(r"^network +\[8\] relu", text, re.MULTILINE)
    assert f"made {made.__version__}, torch" in text


def test_info_prints_the_history(folder: Path, density: made.Density) -> None:
    lines = succeed("info", folder / "m.made", "--history").splitlines()
    assert lines[0].split() == ["network", "epoch", "train", "validation", "seconds"]
    assert [line.split()[:2] for line in lines[1:]] == [["1", "1"], ["1", "2"]]
    train = density.record.history[0]["train"]
    assert lines[1].split()[2] == f"{train:.4f}"


def test_info_as_json(folder: Path, density: made.Density) -> None:
    content = one_object(succeed("info", folder / "m.made", "--json"))
    assert content["columns"] == NAMES
    assert content["n_members"] == 2
    (network,) = content["networks"]
    assert network["network"]["hidden"] == [8]
    assert network["epochs"] == 2
    assert content["seconds"] == network["seconds"]
    assert content["validation_log_prob"] == density.record.validation_log_prob
    assert "history" not in network
    content = one_object(succeed("info", folder / "m.made", "--json", "--history"))
    assert content["networks"][0]["history"] == density.record.history


def test_version_and_help() -> None:
    assert succeed("--version") == f"made {made.__version__}\n"
    text = succeed("--help")
    for command in ("fit", "score", "sample", "info", "demo"):
        assert re.search(rf"^ +{command} ", text, re.MULTILINE)
