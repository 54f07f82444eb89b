"""What all commands share: options, errors without tracebacks, notes, JSON.

Knows errors and streams; knows nothing of models. Standard output holds results and nothing
else; notes, progress and errors go to standard error.
"""

from __future__ import annotations

import functools
import json
import math
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import typer

from made.errors import MadeError, MadeNotice, OptionError

FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

ModelPath = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A model file (.made).", show_default=False)
]
DataPath = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="Rows: .csv, .csv.gz, .parquet, .npy, .npz."),
]
Split = Annotated[str | None, typer.Option(help="The array of an .npz file to take.")]
NoHeader = Annotated[
    bool, typer.Option("--no-header", help="The first line of a CSV file is data.")
]
IdColumn = Annotated[
    str | None, typer.Option("--id", help="A column that names the rows and is not modelled.")
]
Na = Annotated[
    list[str] | None,
    typer.Option(help='A text that means a missing cell, like "?"; may be repeated.'),
]
SchemaFile = Annotated[
    Path | None, typer.Option("--schema", help="A file of made schema --out, perhaps edited.")
]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", help="COLUMN=KIND, where it should not be inferred; may be repeated."),
]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="A column to model though it differs in every row; may be repeated."),
]
UnseenOption = Annotated[
    str, typer.Option(help='Categories that fit never saw: "error", or "rare" to score them.')
]
EnsembleOption = Annotated[
    str | None,
    typer.Option(
        "--ensemble",
        help='"mixture": ask the mixture of the members, where the model is another combination.',
        show_default=False,
    ),
]
Given = Annotated[
    str | None,
    typer.Option(help="Evidence: \"sex == 'Female' and age < 40\".", show_default=False),
]
Seed = Annotated[int, typer.Option(help="Decides everything that is drawn.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Threads = Annotated[int | None, typer.Option(help="Threads to compute with.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, ...")]

_state: dict[str, float] = {"started": time.monotonic()}

P = ParamSpec("P")
R = TypeVar("R")


def set_started(started: float) -> None:
    """Remember when the process started: a time budget covers the whole command."""
    _state["started"] = started


def seconds_since_start() -> float:
    """Return how long this command has been running."""
    return time.monotonic() - _state["started"]


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn errors of ``command`` into a line or two and an exit code."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", MadeNotice)
                warnings.showwarning = _show_notice
                return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            say("Stopped.")
            raise typer.Exit(INTERRUPTED) from None
        except MadeError as error:
            _explain(error, bool(kwargs.get("debug")))
            code = WRONG_USE if isinstance(error, OptionError) else FAILED
            raise typer.Exit(code) from None
        except (OSError, MemoryError) as error:
            _explain(error, bool(kwargs.get("debug")))
            raise typer.Exit(FAILED) from None

    return wrapped


def say(text: str) -> None:
    """Write a line to standard error."""
    print(text, file=sys.stderr)


def print_json(content: dict[str, Any]) -> None:
    """Write the one JSON object of a command to standard output."""
    print(json.dumps(content, allow_nan=False))


def plain_cell(cell: Any) -> Any:
    """Return a cell as JSON has it: dates as texts, no NaN."""
    if hasattr(cell, "item"):
        cell = cell.item()
    if hasattr(cell, "isoformat"):
        return cell.isoformat()
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], to_the_left: int = 1) -> None:
    """Write a table whose columns line up, the first few to the left, the others to the right."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        cells = [
            cell.ljust(width) if place < to_the_left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Write lines of a name and a value that line up."""
    width = max(len(name) for name, _ in facts)
    for name, value in facts:
        print(f"{name.ljust(width)}  {value}")


@contextmanager
def using_threads(threads: int | None) -> Iterator[None]:
    """Compute with ``threads`` threads."""
    import torch

    from made.training.options import check_count

    if threads is not None:
        torch.set_num_threads(check_count("threads", threads))
    yield


def said_of_columns(schema: Path | None, kinds: list[str] | None) -> dict[str, dict[str, Any]]:
    """Return what --schema and --kind say of columns."""
    from made.table import overrides_of

    said = overrides_of(schema)
    for entry in kinds or []:
        name, equals, kind = entry.rpartition("=")
        if not equals or not name:
            raise OptionError(f"--kind takes COLUMN=KIND, like age=integer; got {entry!r}.")
        said[name] = said.get(name, {}) | overrides_of({name: kind})[name]
    return said


def check_spared(out: Path, *inputs: Path | None) -> None:
    """Raise `OptionError` if writing ``out`` would destroy one of the ``inputs``."""
    for path in inputs:
        if path is not None and path.exists() and out.exists() and out.samefile(path):
            raise OptionError(f"--out {out} would replace what is read. Choose another name.")


def _explain(error: BaseException, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    text = str(error) or type(error).__name__
    say(f"Error: {text}")


def _show_notice(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    del where, more
    say(f"{'Note' if issubclass(category, MadeNotice) else 'Warning'}: {message}")
