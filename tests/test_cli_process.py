"""What only a process of its own shows: imports, streams that close, quiet progress; the demo."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import made
from made.cli import app
from made.progress import terminal_progress

ROWS = np.random.default_rng(0).integers(0, 2, size=(60, 4)).astype(np.uint8)
HEAVY = "torch lightning_fabric pyarrow sklearn numba pandas polars narwhals rich"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("process") / "m.made"
    made.fit(ROWS, hidden=(8,), members=2, max_epochs=2, progress=False).save(place)
    return place


def process(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--version"],
        ["--help"],
        ["fit", "--help"],
        ["benchmark", "made", "--help"],
        ["info"],
        ["info", "--history"],
    ],
)
def test_quick_commands_import_nothing_heavy(model: Path, arguments: list[str]) -> None:
    given = [*arguments, str(model)] if arguments[0] == "info" else arguments
    program = (
        "import sys\n"
        "from made.cli import app\n"
        f"app({given!r}, standalone_mode=False)\n"
        f"print('HEAVY', [name for name in {HEAVY!r}.split() if name in sys.modules])\n"
    )
    done = process("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("HEAVY []\n")


def test_importing_the_library_is_immediate() -> None:
    program = f"import made, sys; print([n for n in {HEAVY!r}.split() if n in sys.modules])"
    assert process("-c", program).stdout == "[]\n"


def test_a_fit_is_quiet_where_nobody_looks(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", ROWS)
    done = process(
        "-m", "made", "fit", tmp_path / "rows.npy", "--out", tmp_path / "m.made", "--json",
        "--hidden", "8", "--members", "2", "--max-epochs", "2", "--threads", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = json.loads(done.stdout)
    # The whole command is timed, the imports included.
    assert content["seconds"] >= made.load(tmp_path / "m.made").record.seconds > 0.5
    assert content["epochs"] == 2


def test_a_reader_may_close_the_pipe(model: Path) -> None:
    command = [sys.executable, "-m", "made", "sample", str(model), "-n", "400000"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline() == '"x0","x1","x2","x3"\n'
        running.stdout.close()
        assert running.stderr.read() == ""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "show", "seen"),
    [(_Terminal(), True, True), (_Terminal(), False, False), (io.StringIO(), True, False)],
)
def test_a_bar_is_drawn_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, show: bool, seen: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with terminal_progress("fitting", show=show) as bar:
        bar.update(1, 2, "epoch 1")
    assert ("fitting" in stream.getvalue() and "epoch 1" in stream.getvalue()) is seen
    assert bool(stream.getvalue()) is seen


def test_demo_compares_and_draws(tmp_path: Path) -> None:
    picture = tmp_path / "digits.png"
    arguments = ["demo", "--out", str(picture), "--max-time", "1s", "--threads", "1", "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["picture"] == str(picture)
    means = {name: entry["mean_log_prob"] for name, entry in content["log_probs"].items()}
    assert means["mixture of 16 orderings"] > means["mean of single orderings"]
    with Image.open(picture) as image:
        assert image.format == "PNG"
        assert image.width > 2 * image.height * 0.95
