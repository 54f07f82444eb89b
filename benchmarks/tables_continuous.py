"""Held-out log-likelihood of real columns: made beside mixtures, kernels, forests and a flow.

Knows the methods by name; the rows they see come from `tables_data`, noise included.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from peers_density import Scored, gaussian_mixture, kernel_density
from tables_cache import load_scored, save_scored
from tables_data import CONTINUOUS, Splits, continuous_splits

OURS = "made"
PEERS = ("GaussianMixture", "KernelDensity", "arfpy", "zuko NSF")
METHODS = (OURS, *PEERS)


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Scored]:
    """Return the scores of the test rows of a set by every method asked for."""
    splits = continuous_splits(arguments.data, name, arguments.seed)
    found = {}
    for method in METHODS:
        key = f"continuous-{name}-{method}"
        scored = load_scored(key, arguments, method)
        if scored is None and method in arguments.methods:
            print(f"  {name}: {method}", flush=True)
            scored = _RUNS[method](splits, arguments)
            save_scored(key, scored, arguments)
        if scored is not None:
            found[method] = scored
    return found


def describe(name: str, arguments: argparse.Namespace) -> dict[str, int]:
    splits = continuous_splits(arguments.data, name, arguments.seed)
    return {"rows": sum(len(part) for part in (splits.train, splits.valid, splits.test)),
            "columns": splits.train.shape[1]}  # fmt: skip


def _made(splits: Splits, arguments: argparse.Namespace) -> Scored:
    import made

    frames = Splits(*(_frame(rows) for rows in (splits.train, splits.valid, splits.test)))
    plain = {"kind": "continuous", "atoms": False, "low": None, "high": None}
    started = time.perf_counter()
    density = made.fit(
        frames.train, frames.valid, schema=dict.fromkeys(frames.train, plain),
        keep=list(frames.train), max_time=arguments.budget, seed=arguments.seed,
        threads=arguments.threads, progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    valid = float(density.log_prob(frames.valid).mean())
    return Scored(density.log_prob(frames.test), valid, seconds, {"budget": arguments.budget})


def _frame(rows: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[f"x{d}" for d in range(rows.shape[1])])


def _standardised(run: Callable[[Splits, argparse.Namespace], Scored]) -> Callable[..., Scored]:
    """Return ``run`` on rows of mean 0 and variance 1, its nats taken back to original units."""

    def wrapped(splits: Splits, arguments: argparse.Namespace) -> Scored:
        center, scale = splits.train.mean(axis=0), splits.train.std(axis=0)
        rows = [(part - center) / scale for part in (splits.train, splits.valid, splits.test)]
        scored = run(Splits(*rows), arguments)
        shift = np.log(scale).sum()
        scored.test, scored.valid = scored.test - shift, scored.valid - shift
        if tried := scored.chosen.get("tried"):
            scored.chosen["tried"] = {
                how: round(float(nats - shift), 4) for how, nats in tried.items()
            }
        return scored

    return wrapped


@_standardised
def _gaussian_mixture(splits: Splits, arguments: argparse.Namespace) -> Scored:
    return gaussian_mixture(
        splits.train, splits.valid, splits.test, seed=arguments.seed, seconds=arguments.budget
    )


@_standardised
def _kernel_density(splits: Splits, arguments: argparse.Namespace) -> Scored:
    return kernel_density(
        splits.train, splits.valid, splits.test, seed=arguments.seed, seconds=arguments.budget
    )


@_standardised
def _neural_spline_flow(splits: Splits, arguments: argparse.Namespace) -> Scored:
    from peers_flow import neural_spline_flow

    return neural_spline_flow(
        splits.train, splits.valid, splits.test, seed=arguments.seed, seconds=arguments.budget
    )


@_standardised
def _forest(splits: Splits, arguments: argparse.Namespace) -> Scored:
    """Run the forest in its own environment, since it needs other versions of numpy and pandas."""
    rows, scores = arguments.cache / "arf-rows.npz", arguments.cache / "arf-scores.npz"
    np.savez(rows, train=splits.train, valid=splits.valid, test=splits.test)
    script = Path(__file__).with_name("peers_arf.py")
    subprocess.run(
        [
            arguments.arf_python, script, rows, scores,
            "--seed", str(arguments.seed), "--seconds", str(arguments.peer_seconds),
        ],
        check=True,
    )  # fmt: skip
    return load_scored(scores.stem, arguments)


_RUNS: dict[str, Callable[[Splits, argparse.Namespace], Scored]] = {
    OURS: _made,
    "GaussianMixture": _gaussian_mixture,
    "KernelDensity": _kernel_density,
    "arfpy": _forest,
    "zuko NSF": _neural_spline_flow,
}

SETS: tuple[str, ...] = CONTINUOUS


def summary(name: str, found: dict[str, Scored], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of a set: each method, and made less the best peer, row by row."""
    return {"set": name, **describe(name, arguments), "unit": "nats a row",
            "methods": methods_summary(found), **against_best(found)}  # fmt: skip


def methods_summary(found: dict[str, Scored]) -> dict[str, Any]:
    return {
        method: {
            "test": float(scored.test.mean()),
            "standard_error": standard_error(scored.test),
            "valid": scored.valid,
            "seconds": round(scored.seconds, 1),
            "chosen": scored.chosen,
        }
        for method, scored in found.items()
    }


def against_best(found: dict[str, Scored]) -> dict[str, Any]:
    """Return the paired difference of made and the peer with the highest mean on test rows."""
    peers = [method for method in found if method != OURS]
    if OURS not in found or not peers:
        return {}
    best = max(peers, key=lambda method: found[method].test.mean())
    difference = found[OURS].test - found[best].test
    return {"best_peer": best, "difference": float(difference.mean()),
            "difference_error": standard_error(difference)}  # fmt: skip


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
