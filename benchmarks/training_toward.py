"""Does training toward the mixture of the orderings help, at equal time and at equal epochs?

    python benchmarks/training_toward.py
    python benchmarks/training_toward.py --orderings-per-step 1 --epochs-of 4
    python benchmarks/training_toward.py --orderings-per-step 4 --each
    python benchmarks/training_toward.py page    # renew the tables of docs/combining-orderings.md

Usually a step trains one ordering: E_x E_pi log q(x | pi). With m orderings a step it trains their
mixture, E_x log mean_m q(x | pi_m), costs m times as much and more, since several orderings go
through dense masks. The first command gives 1 and 4 the same processor seconds, on one thread.
The second gives 1 as many epochs as 4 had reached, which takes the cost of a step out of the
comparison. The third trains 4 orderings a step each alone, E_x mean_m log q(x | pi_m), at the
price of 4: what it and the mixture differ by is the objective.

The recipe is the default one: 16 members, 16 fixed orderings or fresh ones as the rows suggest.
All figures are nats a row on validation rows, which also ended the training; the test rows are
not looked at. Below power 1 they are conservative: less the upper limit of log Z. Runs that are
there are skipped, so a study that was cut short goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

import made
from combining import products, singles, some_rows
from combining_tables import FOUR, SETS, Tables, filled, signed, table
from harness import machine, versions
from made.benchmark.results import BEST_POWER, MEAN, MIXTURE, PRODUCT
from made.training.step import TrainingStep

CHOSEN_SETS = ("dna", "nips", "mushrooms", "adult", "plants")
REPORTED = (MEAN, MIXTURE, PRODUCT, BEST_POWER, FOUR)

Run = dict[str, Any]


def each_alone(terms: Tensor) -> Tensor:
    """Return the mean of the log-probabilities, where a training step has the log of the mean."""
    return terms.mean(dim=0)


def measure(name: str, per_step: int, seed: int, arguments: argparse.Namespace) -> Run:
    """Train a model and score combinations of its members on validation rows."""
    with np.load(arguments.data / SETS[name] / f"{name}.npz") as arrays:
        train, valid = arrays["train"], arrays["valid"]
    budget: dict[str, Any] = {"max_time": arguments.seconds}
    if arguments.epochs_of is not None:
        partner = run_path(arguments.out, name, arguments.epochs_of, seed)
        budget = {"max_epochs": json.loads(partner.read_text())["epochs"]}
    # A machine that is shared gives a wall clock's seconds unequal worth: the budget counts those
    # of the processor. With more threads than one they would add up.
    started = time.process_time()
    objective = mock.patch.object(TrainingStep, "_combined", staticmethod(each_alone))
    with (
        mock.patch("time.monotonic", time.process_time),
        objective if arguments.each else nullcontext(),
    ):
        density = made.fit(
            train, valid, combine="mixture", orderings_per_step=per_step, seed=seed,
            threads=1, progress=False, **budget,
        )  # fmt: skip
    seconds = time.process_time() - started
    members = density._fitted.ensemble.members
    log_probs = members.log_probs(some_rows(valid, seed))
    entries = [*singles(log_probs), *products(members, log_probs, seed)]
    scores = {e.name: e.scores(log_probs) for e in entries if e.name in REPORTED}
    powers = {e.name: e.combination.power for e in entries}
    return {
        "suite": "training toward the mixture",
        "set": name,
        "orderings_per_step": per_step,
        "each": arguments.each,
        "epochs_of": arguments.epochs_of,
        "seed": seed,
        "budget": budget,
        "threads": 1,
        "versions": versions(("made", "torch", "numpy", "numba")),
        "machine": machine(),
        "columns": train.shape[1],
        "training_rows": len(train),
        "validation_rows": len(log_probs),
        "n_orderings": density.record.options["n_orderings"],
        "epochs": density.record.epochs,
        "best_epoch": density.record.best_epoch,
        "processor_seconds": round(seconds, 1),
        "validation": {each: float(values.mean()) for each, values in scores.items()},
        "members": [round(float(value), 3) for value in log_probs.mean(axis=0)],
        "best_power": powers[BEST_POWER],
        # Row by row, so that runs can be compared in pairs.
        "mixture_rows": [round(float(value), 3) for value in scores[MIXTURE]],
    }


def run_path(
    folder: Path,
    name: str,
    per_step: int,
    seed: int,
    epochs_of: int | None = None,
    each: bool = False,
) -> Path:
    ending = ("-each" if each else "") + ("" if epochs_of is None else f"-epochs-of-{epochs_of}")
    return folder / f"{name}-{per_step}-seed-{seed}{ending}.json"


def stored(folder: Path) -> list[Run]:
    """Return the runs that are there, by set, seed and orderings a step."""
    runs = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(
        runs,
        key=lambda run: (CHOSEN_SETS.index(run["set"]), run["seed"], *_arm(run)[1:]),
    )


def paired(run: Run, other: Run) -> str:
    """Return the difference of two mixtures on the same rows, with its standard error."""
    rows = np.array(run["mixture_rows"]) - np.array(other["mixture_rows"])
    return f"{signed(rows.mean())} +- {rows.std(ddof=1) / len(rows) ** 0.5:.3f}"


def equal_time(runs: list[Run]) -> str:
    """Return what the same seconds give, and the differences on the same rows and seed."""
    timed = [run for run in runs if run["epochs_of"] is None]
    partners = {(run["seed"], *_arm(run)): run for run in timed}

    def less(run: Run, per_step: int, each: bool) -> str:
        other = partners.get((run["seed"], run["set"], per_step, each))
        return paired(run, other) if other and run is not other else ""

    def rows() -> Iterator[list[str]]:
        for run in timed:
            _, per_step, each = _arm(run)
            yield [
                _model(run),
                "1" if per_step == 1 else f"{per_step}, {'each alone' if each else 'as a mixture'}",
                str(run["epochs"]),
                f"{run['processor_seconds']:.0f}",
                f"{min(run['members']):.2f}",
                *(f"{run['validation'][name]:.2f}" for name in REPORTED),
                less(run, 1, False),
                "" if each or per_step == 1 else less(run, per_step, True),
            ]

    return table(
        ["set, orderings, seed", "a step trains", "epochs", "processor seconds", "worst member",
         MEAN, "mixture", "product", "best power", FOUR, "mixture, less that of 1",
         "less each alone"],
        rows(),
    )  # fmt: skip


def _model(run: Run) -> str:
    count = run["n_orderings"]
    return f"{run['set']}, {'all' if count is None else f'{count} fixed'}, {run['seed']}"


def _arm(run: Run) -> tuple[str, int, bool]:
    return run["set"], run["orderings_per_step"], run["each"]


def equal_epochs(runs: list[Run]) -> str:
    """Return what the same epochs give: each run so limited, and the run that set the limit."""
    timed = {
        (run["set"], run["seed"], run["orderings_per_step"]): run
        for run in runs
        if run["epochs_of"] is None and not run["each"]
    }

    def rows() -> Iterator[list[str]]:
        for run in runs:
            if run["epochs_of"] is None:
                continue
            pair = (run, timed[run["set"], run["seed"], run["epochs_of"]])
            one, several = sorted(pair, key=lambda each: each["orderings_per_step"])
            yield [
                _model(run),
                f"{one['epochs']}, {several['epochs']}",
                f"{one['processor_seconds']:.0f}, {several['processor_seconds']:.0f}",
                *(
                    f"{one['validation'][each]:.2f}, {several['validation'][each]:.2f}"
                    for each in (MEAN, MIXTURE, PRODUCT)
                ),
                paired(several, one),
            ]

    return table(
        ["set, orderings, seed", "epochs with 1, 4", "processor seconds", "mean member with 1, 4",
         "mixture with 1, 4", "product with 1, 4", "mixture with 4 less with 1"],
        rows(),
    )  # fmt: skip


def page_tables(runs: list[Run]) -> Tables:
    return {
        "toward-time": lambda: equal_time(runs),
        "toward-epochs": lambda: equal_epochs(runs),
    }


def main() -> None:
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("action", nargs="?", choices=("run", "tables", "page"), default="run")
    command.add_argument("--set", action="append", choices=CHOSEN_SETS, help="may be repeated")
    command.add_argument("--orderings-per-step", action="append", type=int, help="may be repeated")
    command.add_argument("--epochs-of", type=int, help="as many epochs as so many a step reached")
    command.add_argument("--each", action="store_true", help="orderings of a step each alone")
    command.add_argument("--seed", action="append", type=int, help="may be repeated")
    command.add_argument(
        "--seconds", type=float, default=60.0, help="of the processor, for each model"
    )
    data = Path(os.environ.get("MADE_DATA", "../shared/data"))
    command.add_argument("--data", type=Path, default=data)
    command.add_argument("--out", type=Path, default=Path("benchmarks/results/training_toward"))
    command.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the page")
    arguments = command.parse_args()
    if arguments.action == "run":
        return run_all(arguments)
    tables = page_tables(stored(arguments.out))
    if arguments.action == "tables":
        for name, make in tables.items():
            print(f"\n{name}\n\n{make()}")
        return None
    page = arguments.docs / "combining-orderings.md"
    page.write_text(filled(page.read_text(), tables))
    return None


def run_all(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seed or (0, 1):
        for name in arguments.set or CHOSEN_SETS:
            for per_step in arguments.orderings_per_step or (1, 4):
                path = run_path(
                    arguments.out, name, per_step, seed, arguments.epochs_of, arguments.each
                )
                if path.exists():
                    print(f"{path} is there already")
                    continue
                run = measure(name, per_step, seed, arguments)
                path.write_text(json.dumps(run) + "\n")
                print(path.stem, run["epochs"], run["processor_seconds"], run["validation"],
                      flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
