"""A run that is stopped or killed, and goes on, ends as if nothing had happened. Bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import made
from made.cli import app
from made.density import TrainingInterrupted
from made.errors import MadeNotice
from made.training import loop
from made.training.checkpoint import load_checkpoint
from made.training.step import TrainingStep

BITS = np.random.default_rng(0).integers(0, 2, size=(60, 6))
# 54 training rows: 5 steps an epoch. The decay starts at step 16 of 20, within an epoch.
OPTIONS: dict[str, Any] = {
    "hidden": (8,), "members": 2, "batch_size": 10, "max_epochs": 4, "warm_up": 5, "threads": 1,
    "average_decay": 0.9, "learning_rate": 0.02, "device": "cpu",
}  # fmt: skip
LAST_STEP = 19

RUNS: dict[str, dict[str, Any]] = {
    "fresh orderings": {"orderings": "all"},
    "a fixed list": {"orderings": 3},
    "a long list": {"orderings": 300},
    "dropout": {"dropout": 0.5},
    "redrawn degrees": {"hidden_degrees": "redrawn", "conditioning": True, "hidden": (8, 7)},
    "adadelta": {"optimizer": "adadelta", "learning_rate": 1.0},
    "no average": {"average_decay": 0.0},
    "a constant schedule": {"schedule": "constant"},
    "residual and normed": {
        "hidden": (8, 8), "residual": True, "normalization": "cumulative_rms",
    },
    "seldom validated": {"members": 40, "patience": 6},
    "out of patience": {"patience": 1, "max_epochs": 100},
    "half precision": {"precision": "bf16-mixed"},
}  # fmt: skip


def outcome(density: made.Density) -> tuple[dict[str, bytes], list[Any]]:
    """Return what must be equal: the bits of all weights, and the nats of every epoch."""
    weights = density._fitted.ensemble.members.models[0].state_dict()
    bits = {name: value.numpy().tobytes() for name, value in weights.items()}
    lines = [(line["epoch"], line["train"], line["validation"]) for line in density.record.history]
    return bits, [*lines, density.record.validation_log_prob, density.record.best_epoch]


def fit_until(
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    checkpoint: Path,
    train: np.ndarray = BITS,
    **options: Any,
) -> made.Density | TrainingInterrupted:
    """Fit, with Ctrl-C in the middle of step ``step``."""

    class Interrupted(TrainingStep):
        def __call__(self, number: int, *arguments: Any) -> torch.Tensor:
            if number == step:
                signal.raise_signal(signal.SIGINT)
            return super().__call__(number, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "TrainingStep", Interrupted)
        try:
            return made.fit(train, checkpoint=checkpoint, **options)
        except TrainingInterrupted as stop:
            return stop


@pytest.mark.parametrize("step", range(LAST_STEP + 1))
def test_a_run_stopped_after_any_step_goes_on(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    stop = fit_until(monkeypatch, step, checkpoint, **OPTIONS)
    assert isinstance(stop, TrainingInterrupted)
    assert load_checkpoint(checkpoint).position.step == step + 1
    resumed = made.fit(BITS, checkpoint=checkpoint, resume=True, **OPTIONS)
    assert outcome(resumed) == outcome(made.fit(BITS, **OPTIONS))
    assert not checkpoint.exists()


@pytest.mark.parametrize("name", RUNS)
def test_a_run_stopped_many_times_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    options = OPTIONS | RUNS[name]
    for n_stops, step in enumerate((0, 2, 4, 5, 9, 13, 15, 16, 18)):
        result = fit_until(monkeypatch, step, checkpoint, resume=n_stops > 0, **options)
        if isinstance(result, made.Density):  # Out of patience before this step.
            break
    else:
        result = made.fit(BITS, checkpoint=checkpoint, resume=True, **options)
    assert outcome(result) == outcome(made.fit(BITS, **options))


def test_checkpoints_change_nothing(tmp_path: Path) -> None:
    quiet = made.fit(BITS, **OPTIONS)
    saving = made.fit(BITS, checkpoint=tmp_path / "run", checkpoint_every=0, **OPTIONS)
    assert outcome(saving) == outcome(quiet)
    assert list(tmp_path.iterdir()) == []


def test_blocks_do_not_depend_on_where_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Batches of 76 and 75 rows, on both sides of the size at which a product is cut in two.
    bits = np.random.default_rng(1).integers(0, 2, size=(151, 4))
    options = OPTIONS | {"hidden": (496, 1000), "batch_size": 76, "max_epochs": 2}
    options["valid"] = bits[:10]
    checkpoint = tmp_path / "run"
    stop = fit_until(monkeypatch, 0, checkpoint, bits, **options)
    assert isinstance(stop, TrainingInterrupted)
    resumed = made.fit(bits, checkpoint=checkpoint, resume=True, **options)
    assert outcome(resumed) == outcome(made.fit(bits, **options))


def test_ctrl_c_leaves_the_best_weights_so_far(tmp_path: Path) -> None:
    checkpoint, seen = tmp_path / "run", []

    def stop_in_epoch_3(epoch: Any) -> None:
        seen.append(epoch)
        if epoch.epoch == 3:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted, match="training was interrupted") as caught:
        made.fit(BITS, checkpoint=checkpoint, on_epoch=stop_in_epoch_3, **OPTIONS)
    assert signal.getsignal(signal.SIGINT) is before
    assert caught.value.checkpoint == checkpoint
    record = caught.value.density.record
    best = max(line.validation for line in seen)
    assert record.epochs == 3
    assert record.validation_log_prob == best == seen[record.best_epoch - 1].validation
    # Without a checkpoint the weights are kept all the same.
    with pytest.raises(TrainingInterrupted) as caught:
        made.fit(BITS, on_epoch=stop_in_epoch_3, **OPTIONS)
    assert caught.value.checkpoint is None
    assert caught.value.density.record.validation_log_prob == best


def test_no_time_left_turns_a_checkpoint_into_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "run"
    for step in (2, 12):
        stop = fit_until(monkeypatch, step, checkpoint, resume=step > 2, **OPTIONS)
        assert isinstance(stop, TrainingInterrupted)
    density = made.fit(BITS, checkpoint=checkpoint, resume=True, max_time=0, **OPTIONS)
    assert density.record.epochs == 3  # The step count did not move: 13 steps.
    # The weights were scored once more, where training stopped.
    assert density.record.validation_log_prob >= stop.density.record.validation_log_prob
    assert not checkpoint.exists()


def test_time_used_before_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "run"
    options = OPTIONS | {"max_epochs": None, "patience": 10**6}
    stop = fit_until(monkeypatch, 30, checkpoint, max_time=60, **options)
    assert isinstance(stop, TrainingInterrupted)
    content = load_checkpoint(checkpoint)
    assert 0 < content.position.seconds < 30
    started = time.monotonic()
    again = made.fit(BITS, checkpoint=checkpoint, resume=True, max_time=1, **options)
    assert time.monotonic() - started < 2.5
    assert again.record.seconds >= content.position.seconds


# The kill test. One process imports everything and forks a child for every run: a fork costs
# milliseconds, and a start several seconds. The process has no other threads.

KILLED_OPTIONS: dict[str, Any] = OPTIONS | {"max_epochs": 6, "dropout": 0.2, "checkpoint_every": 0}
N_KILLS = 20


def fork_fit(checkpoint: Path, out: Path, die_in: str = "") -> int:
    """Start a fit in a child, which dies in its eighth call of ``os.<die_in>``; return its id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        if die_in:
            calls = iter(range(100))
            survived = getattr(os, die_in)

            def fatal(*arguments: Any) -> None:
                if next(calls) == 7:
                    os.kill(os.getpid(), signal.SIGKILL)
                survived(*arguments)

            setattr(os, die_in, fatal)
        made.fit(BITS, checkpoint=checkpoint, resume=True, **KILLED_OPTIONS).save(out)
        code = 0
    finally:
        os._exit(code)


def finish(child: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def kill_and_resume(folder: Path) -> None:
    """Kill runs at random moments and let each finish; print the steps at which they went on."""
    warnings.simplefilter("ignore", MadeNotice)
    torch.set_num_threads(1)
    untrained: dict[str, Any] = OPTIONS | {"max_epochs": 0}
    made.fit(BITS, **untrained)  # Imports whatever is imported late.
    # The first child may have to compile kernels; the second tells how long a run takes.
    finish(fork_fit(folder / "first.run", folder / "first.made"))
    started = time.monotonic()
    finish(fork_fit(folder / "reference.run", folder / "reference.made"))
    seconds = time.monotonic() - started
    random = np.random.default_rng(0)
    steps: list[int] = []
    for number in range(5 * N_KILLS):
        if len(steps) == N_KILLS:
            break
        checkpoint, out = folder / f"{number}.run", folder / f"{number}.made"
        child = fork_fit(checkpoint, out)
        time.sleep(random.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        if killed:
            steps.append(load_checkpoint(checkpoint).position.step if checkpoint.exists() else 0)
            finish(fork_fit(checkpoint, out))
    # Some in the middle of writing the eighth checkpoint: before it is on the disk, before it
    # has its name.
    for place in ("fsync", "chmod", "replace"):
        checkpoint, out = folder / f"{place}.run", folder / f"{place}.made"
        status = os.waitpid(fork_fit(checkpoint, out, die_in=place), 0)[1]
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        assert load_checkpoint(checkpoint).position.step == 7
        finish(fork_fit(checkpoint, out))
    # And one that is killed again and again.
    checkpoint, out = folder / "often.run", folder / "often.made"
    for share in random.uniform(0.1, 0.5, size=8):
        child = fork_fit(checkpoint, out)
        time.sleep(share * seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    finish(fork_fit(checkpoint, out))
    print(json.dumps(steps))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_runs_that_were_killed_end_as_if_they_had_not(tmp_path: Path) -> None:
    script = "import sys, test_resume; test_resume.kill_and_resume(test_resume.Path(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parent,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)
    assert len(steps) == N_KILLS
    assert len(set(steps)) > 5
    models = sorted(tmp_path.glob("*.made"))
    assert len(models) >= N_KILLS + 6
    expected = outcome(made.load(tmp_path / "reference.made"))
    for model in models:
        assert outcome(made.load(model)) == expected, model.name


def test_ctrl_c_on_the_command_line(tmp_path: Path) -> None:
    data, model = tmp_path / "bits.npy", tmp_path / "m.made"
    np.save(data, BITS)
    model.write_text("an older model")
    arguments = ["fit", str(data), "--out", str(model), "--hidden", "8", "--members", "2",
                 "--max-epochs", "1000000", "--patience", "1000000", "--threads", "1",
                 "--checkpoint-every", "0"]  # fmt: skip
    command = subprocess.Popen(
        [sys.executable, "-m", "made", *arguments, "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    checkpoint = tmp_path / "m.made.checkpoint"
    deadline = time.monotonic() + 90
    while not checkpoint.exists() and command.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    command.send_signal(signal.SIGINT)
    output, errors = command.communicate(timeout=60)
    assert command.returncode == 130, errors
    assert output == ""
    assert model.read_text() == "an older model"
    assert "Traceback" not in errors
    assert f"are kept in {checkpoint}." in errors
    assert "Go on with the same command and --resume; add --max-time 0 to write them" in errors
    # As the message says.
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "Go on with --resume" in again.stderr
    resumed = CliRunner().invoke(app, [*arguments, "--resume", "--max-time", "0", "--json"])
    assert resumed.exit_code == 0, resumed.output
    assert json.loads(resumed.stdout)["model"] == str(model)
    assert made.load(model).columns == [f"x{d}" for d in range(6)]
    assert not checkpoint.exists()
