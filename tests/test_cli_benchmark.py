"""``made benchmark``: what it prints, what it refuses, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import made
from made.benchmark import runner
from made.cli import app
from tiny_suites import arrays_of, made_up, quick_fit, register, store, write_data


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    register(monkeypatch)
    monkeypatch.setattr(runner, "fit_timed", quick_fit)
    monkeypatch.delenv("MADE_DATA", raising=False)
    write_data(tmp_path / "data")
    return tmp_path


def run_tiny(folder: Path, *more: object) -> Result:
    return invoke(
        "tiny", "--data", folder / "data", "--out", folder / "out", "--budget", "20s",
        "--threads", 1, *more,
    )  # fmt: skip


def test_a_suite_is_run_and_then_kept(folder: Path) -> None:
    first = run_tiny(folder)
    assert first.exit_code == 0, first.output
    assert "\nfirst   default" in first.stdout
    assert first.stdout.startswith("first: test ")
    again = run_tiny(folder, "--json")
    assert again.exit_code == 0, again.output
    content = json.loads(again.stdout)
    assert content["kept"] == ["first", "second"]
    assert content["failed"] == {}
    assert content["results"][0]["test_nll"] > 0
    assert "first: kept the result that is there" in again.stderr
    assert "(of 20 s)" in again.stderr
    shown = invoke("table", folder / "out")
    assert shown.exit_code == 0, shown.output
    assert "tiny: test nats a row" in shown.stdout
    assert "tiny: our combinations" in shown.stdout


def test_the_folder_of_data_may_be_in_the_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("tiny", "--out", folder / "out", "--set", "second", "--budget", "20s")
    without = invoke(*arguments)
    assert without.exit_code == 2
    assert "by --data, or by MADE_DATA" in without.stderr
    monkeypatch.setenv("MADE_DATA", str(folder / "data"))
    found = invoke(*arguments, "--json")
    assert found.exit_code == 0, found.output
    assert [one["set"] for one in json.loads(found.stdout)["results"]] == ["second"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tinny", "--out", "x"), "There is no suite 'tinny'. Did you mean 'tiny'? There are:"),
        (("tiny", "--out", "x", "--set", "fist"), "has no set 'fist'. Did you mean 'first'?"),
        (("tiny", "--out", "x", "--data", "nowhere"), "--data nowhere is no folder."),
    ],
)
def test_wrong_names_are_told_in_one_line(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert said in result.stderr
    assert not Path("x").exists()


def test_a_corrupt_file_fails_its_set_alone(folder: Path) -> None:
    arrays = arrays_of("first")
    arrays["test"][3, 2] ^= 1
    np.savez(folder / "data" / "tiny" / "first.npz", allow_pickle=False, **arrays)
    result = run_tiny(folder, "--json")
    assert result.exit_code == 1
    content = json.loads(result.stdout)
    assert list(content["failed"]) == ["first"]
    assert "docs/data.md" in content["failed"]["first"]
    assert [one["set"] for one in content["results"]] == ["second"]
    assert "Error: 1 of 2 sets failed: first." in result.stderr


def test_what_is_interrupted_is_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_tiny(folder, "--set", "first").exit_code == 0

    def interrupted(*arguments: Any, **how: Any) -> made.Density:
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "fit_timed", interrupted)
    result = run_tiny(folder)
    assert result.exit_code == 130
    assert "Stopped. 1 of 2 results are kept" in result.stderr
    assert "The same command goes on there." in result.stderr
    monkeypatch.setattr(runner, "fit_timed", quick_fit)
    assert run_tiny(folder).exit_code == 0


def test_tables_as_json_and_as_a_page(folder: Path) -> None:
    store(folder / "out", made_up("made", "dna", 79.0))
    content = json.loads(invoke("table", folder / "out", "--json").stdout)
    assert content["results"][0]["mark"] == "+"
    assert content["headline"][0].startswith("MADE's sets, recipe default")
    result = invoke("table", folder / "out", "--markdown", folder / "page.md")
    assert result.exit_code == 0, result.output
    assert "| ours, default |" in (folder / "page.md").read_text()
    refused = invoke("table", folder / "out", "--plots", folder)
    assert refused.exit_code == 2
    assert "give its file by --markdown" in refused.stderr


def test_results_that_cannot_be_read_are_named(folder: Path) -> None:
    store(folder / "out", made_up("made", "dna", 79.0))
    path = folder / "out" / "made" / "dna-default-seed0.json"
    path.write_text(path.read_text().replace("result 1", "result 9"))
    result = invoke("table", folder / "out")
    assert result.exit_code == 1
    assert "dna-default-seed0.json holds a 'made benchmark result 9'" in result.stderr
    assert invoke("table", folder / "nowhere").exit_code == 1
