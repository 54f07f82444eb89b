"""Held-out log mass of mixed tables: made beside a Chow-Liu tree over discretised columns.

Numbers are integer multiples of their column's step, and everything else is a level, so that both
give the mass of the recorded cells: nats a row of one and the same measure.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

from peers_chow_liu import chow_liu
from peers_density import Scored
from tables_cache import load_scored, save_scored
from tables_continuous import OURS, against_best, methods_summary
from tables_data import MIXED, Splits, integer_coded, read_table, split_rows

PEERS = ("Chow-Liu",)
METHODS = (OURS, *PEERS)
SETS: tuple[str, ...] = MIXED


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Scored]:
    """Return the scores of the test rows of a table by every method asked for."""
    splits, numeric = coded_splits(name, arguments)
    found = {}
    for method in METHODS:
        key = f"mixed-{name}-{method}"
        scored = load_scored(key, arguments, method)
        if scored is None and method in arguments.methods:
            print(f"  {name}: {method}", flush=True)
            if method == OURS:
                scored = _made(splits, numeric, arguments)
            else:
                scored = chow_liu(splits.train, splits.valid, splits.test, numeric)
            save_scored(key, scored, arguments)
        if scored is not None:
            found[method] = scored
    return found


def summary(name: str, found: dict[str, Scored], arguments: argparse.Namespace) -> dict[str, Any]:
    splits, numeric = coded_splits(name, arguments)
    return {
        "set": name,
        "rows": sum(len(part) for part in (splits.train, splits.valid, splits.test)),
        "columns": splits.train.shape[1],
        "numeric": len(numeric),
        "unit": "nats a row",
        "methods": methods_summary(found),
        **against_best(found),
    }


def coded_splits(name: str, arguments: argparse.Namespace) -> tuple[Splits, list[str]]:
    frame, numeric = integer_coded(read_table(arguments.data, name))
    return split_rows(frame, arguments.seed), numeric


def _made(splits: Splits, numeric: list[str], arguments: argparse.Namespace) -> Scored:
    import made

    kinds = dict.fromkeys(numeric, "integer")
    started = time.perf_counter()
    density = made.fit(
        splits.train, splits.valid, schema=kinds, keep=list(splits.train),
        max_time=arguments.budget, seed=arguments.seed, threads=arguments.threads, progress=False,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    valid = float(density.log_prob(splits.valid, unseen="rare").mean())
    test = density.log_prob(splits.test, unseen="rare")
    return Scored(test, valid, seconds, {"budget": arguments.budget})
