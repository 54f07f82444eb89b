"""`made fit --search`: what it prints, Ctrl-C, --resume, mistakes."""

from __future__ import annotations

import itertools
import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from made.cli import app
from made.cli.running import set_started
from made.training import loop
from made.training.step import TrainingStep
from search_cases import BITS, SMALL


def run(*arguments: object) -> Result:
    # A budget counts from when the process began, which here is that of the whole suite.
    set_started(time.monotonic())
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a command that searches, in a folder with a table and nothing else."""
    monkeypatch.chdir(tmp_path)
    np.save("bits.npy", BITS)
    said = ("hidden", "conditioning", "direct_input")
    options = {name: value for name, value in SMALL.items() if name not in said}
    flags = [[f"--{name.replace('_', '-')}", str(value)] for name, value in options.items()]
    start = ["fit", "bits.npy", "--out", "m.made", "--hidden", "8"]
    return [*start, "--conditioning", "--direct-input", *itertools.chain(*flags)]


def test_the_command_prints_facts(command: list[str]) -> None:
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "trials      6, 0 ended early, 0 diverged\n" in result.stdout
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
    assert (content["trials"], content["pruned"], content["failed"]) == (6, 0, 0)
    assert 1 <= len(content["networks"]) <= 6
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
