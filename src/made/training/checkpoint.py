"""Checkpoints: a run on disk, as safetensors with one line of JSON. Never pickle.

Written aside and renamed, so a run that is killed at any moment leaves the last whole one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from made.errors import CheckpointError
from made.storage import write_bytes
from made.training.state import Position, Snapshot, TrainingState

FORMAT = "made checkpoint 1"


@dataclass
class Checkpoint:
    """A run as it was: what identifies it, where it was, and its tensors."""

    run: dict[str, Any]
    position: Position
    current: Snapshot
    best: Snapshot | None


def save_checkpoint(
    path: Path, run: dict[str, Any], position: Position, state: TrainingState
) -> None:
    """Write the run to ``path``."""
    tensors = {f"current.{name}": value for name, value in state.snapshot().items()}
    if state.best is not None:
        tensors |= {f"best.{name}": value for name, value in state.best.items()}
    content = {"format": FORMAT, "run": run, "position": position.to_json()}
    # One key, since the order of several would vary from run to run.
    metadata = {"made": json.dumps(content)}
    write_bytes(path, safetensors.torch.save(tensors, metadata))


def load_checkpoint(path: Path, run: dict[str, Any] | None = None) -> Checkpoint:
    """Read a checkpoint; with ``run``, refuse one that belongs to another run.

    Raises
    ------
    CheckpointError
        If the file is damaged, or its run differs from ``run``: the message says in what.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            content = json.loads((file.metadata() or {})["made"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if content["format"] != FORMAT:
            raise CheckpointError(f"{path} has the format {content['format']!r}, not {FORMAT!r}.")
        found, position = dict(content["run"]), Position.from_json(content["position"])
    except (safetensors.SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} is not a checkpoint that can be read ({error}). Delete it to start anew."
        ) from error
    if run is not None and found != run:
        raise CheckpointError(
            f"{path} belongs to another run: {differences(found, run)}. Use the same data and "
            "options, or delete it to start anew."
        )
    parts = {"current": {}, "best": {}}
    for full, value in tensors.items():
        kind, _, name = full.partition(".")
        parts.setdefault(kind, {})[name] = value
    return Checkpoint(found, position, parts["current"], parts["best"] or None)


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Say which options differ, looking one level into nested ones."""
    lines = []
    for key in sorted(set(found) | set(wanted)):
        before, now = found.get(key), wanted.get(key)
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            lines.append(differences(before, now))
        elif key.endswith("_hash"):
            what = key.removesuffix("_hash").replace("_", " ")
            lines.append(f"the {what} " + ("are others" if what.endswith("s") else "is another"))
        else:
            lines.append(f"{key} was {before!r} and is now {now!r}")
    return "; ".join(line for line in lines if line)
