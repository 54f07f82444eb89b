"""The memory that columns of very many categories take while a model is fitted, scored and drawn.

    python benchmarks/tables_memory.py --json benchmarks/results/tables_memory.json

Each table in a process of its own, whose peak is reported: the whole process, its libraries
included.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from harness import Result, parser, report

LEVELS = 50_000
CASES: dict[str, dict[str, Any]] = {
    "covertype_subset": {},
    "vehicle_thefts": {},
    # No category is rare: each of them has a class of its own.
    "faa_bird_strikes": {"remarks": {"kind": "categorical", "rare_below": 1}},
    f"{LEVELS} levels": {"code": {"kind": "categorical", "rare_below": 1}},
}


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Fit, score and draw one table, and print the peak and what the classes sum to."""
    import pyarrow
    import torch

    import made

    torch.set_num_threads(arguments.threads)
    table: Any = arguments.data / "tables" / f"{name}.csv.gz"
    if name.endswith("levels"):
        random = np.random.default_rng(arguments.seed)
        codes = np.concatenate([np.arange(LEVELS), random.zipf(1.3, 10_000) % LEVELS])
        even = random.random(len(codes)) < np.where(codes % 2 == 0, 0.9, 0.1)
        table = pyarrow.table({"code": [f"c{code}" for code in codes], "even": even})
    density = made.fit(
        table, schema=CASES[name], max_time=arguments.budget, threads=arguments.threads,
        seed=arguments.seed, progress=False, combine="mixture", members=2, orderings=2,
    )  # fmt: skip
    scores = density.log_prob(table)
    density.sample(1000)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    content = {"peak": peak, "finite": bool(np.isfinite(scores).all())}
    if name.endswith("levels"):
        every = [f"c{code}" for code in range(LEVELS)]
        mass = 0.0
        for even in (False, True):
            rows = pyarrow.table({"code": every, "even": [even] * LEVELS})
            mass += float(np.exp(density.log_prob(rows)).sum())
        content["mass"] = mass + density.schema.columns[0].unseen_mass
    print(json.dumps(content))


def main() -> None:
    command = parser(__doc__ or "")
    default = Path(os.environ.get("MADE_DATA", "../shared/data"))
    command.add_argument("--data", type=Path, default=default)
    command.add_argument("--budget", type=float, default=30.0, help="seconds a table")
    command.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    arguments = command.parse_args()
    if arguments.one:
        measure(arguments.one, arguments)
        return
    results = []
    for name in CASES:
        options = ["--data", str(arguments.data), "--budget", str(arguments.budget)]
        options += ["--threads", str(arguments.threads), "--seed", str(arguments.seed)]
        output = subprocess.run(
            [sys.executable, __file__, "--one", name, *options],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        found = json.loads(output.splitlines()[-1])
        results.append(Result(f"{name}: peak of the process", found["peak"], "GiB", 2.0))
        if "mass" in found:
            off = abs(found["mass"] - 1)
            results.append(Result(f"{name}: masses less 1", off, "", 1e-5))
    report(results, arguments, ("made", "torch", "numpy", "numba", "pyarrow"))


if __name__ == "__main__":
    main()
