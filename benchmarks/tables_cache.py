"""Scores of rows kept between runs, outside the repository, so that a run can be resumed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from peers_density import Scored


def path_of(key: str, arguments: argparse.Namespace) -> Path:
    return arguments.cache / f"{key.replace(' ', '-')}.npz"


def save_scored(key: str, scored: Scored, arguments: argparse.Namespace) -> None:
    """Keep the scores with the options that they depend on."""
    np.savez(
        path_of(key, arguments),
        test=scored.test,
        valid=scored.valid,
        seconds=scored.seconds,
        chosen=json.dumps(scored.chosen),
        seed=arguments.seed,
    )


def load_scored(key: str, arguments: argparse.Namespace, method: str = "") -> Scored | None:
    """Return scores kept earlier, or None if there are none of this seed or they are not wanted."""
    path = path_of(key, arguments)
    if not path.exists() or is_wanted_again(method, arguments):
        return None
    with np.load(path) as kept:
        if "seed" in kept and int(kept["seed"]) != arguments.seed:
            return None
        return Scored(
            kept["test"],
            float(kept["valid"]),
            float(kept["seconds"]),
            json.loads(str(kept["chosen"])),
        )


def is_wanted_again(method: str, arguments: argparse.Namespace) -> bool:
    """Return whether the method is to be measured anew whatever is kept."""
    asked = method in arguments.again or "all" in arguments.again
    return asked and method in arguments.methods
