"""What all benchmarks share: fair timing in turn, machine and versions, one form of results.

A result is ``{"metric", "value", "unit", "target", "better", "met"}``; a file holds a list
of them with the machine, versions and seed beside it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from made.benchmark.results import machine, versions

__all__ = ["Result", "in_turn", "machine", "median_ratio", "parser", "report", "versions"]


@dataclass
class Result:
    """One measured figure, and whether it reaches its target (None: there is none)."""

    metric: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value <= self.target if self.better == "lower" else self.value >= self.target


def parser(description: str) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", type=Path, help="write the results to this file")
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--seed", type=int, default=0)
    return made


def in_turn(
    jobs: dict[str, Callable[[], object]], *, rounds: int, repeats: int = 1, warm_up: int = 1
) -> dict[str, list[float]]:
    """Time the jobs one after the other, round by round; return seconds a call for each.

    Taking turns spreads whatever else the machine does evenly over all of them.
    """
    for job in jobs.values():
        for _ in range(warm_up):
            job()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            for _ in range(repeats):
                job()
            seconds[name].append((time.perf_counter() - start) / repeats)
    return seconds


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """Return the median over the rounds of ours / theirs."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def report(results: list[Result], arguments: argparse.Namespace, packages: Iterable[str]) -> None:
    """Print the results as a table, and write them to ``--json`` if that was given."""
    about = {
        "machine": machine(),
        "versions": versions(packages),
        "seed": arguments.seed,
        "threads": arguments.threads,
    }
    width = max(len(result.metric) for result in results)
    for result in results:
        target = ""
        if result.target is not None:
            sign = "<=" if result.better == "lower" else ">="
            target = f"  target {sign} {result.target:g}: {'met' if result.met else 'missed'}"
        print(f"{result.metric:<{width}}  {result.value:10.3f} {result.unit}{target}")
    print(", ".join(f"{name} {number}" for name, number in about["versions"].items()))
    if arguments.json:
        content = about | {"results": [asdict(item) | {"met": item.met} for item in results]}
        arguments.json.write_text(json.dumps(content, indent=1) + "\n")
