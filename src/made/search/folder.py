"""The folder of a search: whose search it is, and the files that belong to it.

`search.json` says what identifies the search; Optuna's journal, the models and the checkpoints of
the trials lie beside it. Knows files; knows nothing of what the journal says.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from made.errors import CheckpointError, MadeNotice, OptionError, OutputError
from made.storage import write_bytes
from made.training.checkpoint import differences

FORMAT = "made search 1"
JOURNAL = "trials.journal"
_IDENTITY = "search.json"


def open_folder(folder: Path, run: dict[str, Any], trial_seconds: float, *, resume: bool) -> float:
    """Make the folder of a search, or go on with one; return how long its trials may take.

    Parameters
    ----------
    folder : Path
    run : dict
        What identifies the search: data, seed, options that are fixed.
    trial_seconds : float
        Kept in the folder: trials of a search that goes on with another time are still compared
        with those of before.
    resume : bool

    Raises
    ------
    CheckpointError
        If the folder belongs to another search, or cannot be read.
    OptionError
        If it holds a search and ``resume`` is False, or files of others.
    """
    check_folder(folder, resume)
    identity = folder / _IDENTITY
    run = json.loads(json.dumps(run))
    if identity.exists():
        trial_seconds = _read_identity(identity, run)
        _repair(folder / JOURNAL)
        return trial_seconds
    if resume:
        warnings.warn(
            f"There is no search in {folder} to resume: it starts from the beginning.",
            MadeNotice,
            stacklevel=2,
        )
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot write {folder}: {error.strerror}.") from error
    content = {"format": FORMAT, "trial_seconds": trial_seconds, "run": run}
    write_bytes(identity, json.dumps(content).encode())
    return trial_seconds


def check_folder(folder: Path, resume: bool) -> None:
    """Raise `OptionError` if a search cannot begin, or go on, in ``folder``."""
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"A search keeps its trials in a folder, and {folder} is a file.")
    if not folder.is_dir():
        return
    if (folder / _IDENTITY).exists():
        if not resume:
            raise OptionError(
                f"{folder} holds a search that was interrupted. Go on with --resume "
                "(resume=True), or delete it to start anew."
            )
    elif any(folder.iterdir()):
        raise OptionError(
            f"A search keeps its trials in a folder of its own, and {folder} holds other files. "
            "Name another."
        )


def remove_search(folder: Path) -> None:
    """Delete the files of a search, and the folder if nothing else is in it."""
    if not (folder / _IDENTITY).exists():
        return
    for path in [*folder.glob("trial-*.made"), *folder.glob("trial-*.checkpoint")]:
        path.unlink()
    for name in (JOURNAL, JOURNAL + ".lock", _IDENTITY):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _read_identity(path: Path, run: dict[str, Any]) -> float:
    """Return the time of a trial, or raise `CheckpointError` if the search is another."""
    try:
        content = json.loads(path.read_bytes())
        found, seconds = dict(content["run"]), float(content["trial_seconds"])
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}). Delete {path.parent} to start anew."
        ) from error
    if found != run:
        raise CheckpointError(
            f"{path.parent} belongs to another search: {differences(found, run)}. Use the same "
            "data and options, or delete it to start anew."
        )
    return seconds


def _repair(journal: Path) -> None:
    """Cut off a line that a kill left half written, and a lock that nobody holds any more."""
    journal.with_name(journal.name + ".lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            write_bytes(journal, whole)
