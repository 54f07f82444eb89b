"""Mixture or product, how many orderings, learned weights or not: a study, set by set.

    python benchmarks/combining.py --seconds 60 --threads 1
    python benchmarks/combining.py page      # renew the tables of docs/combining-orderings.md
    python benchmarks/combining.py plot      # and its figures
    python benchmarks/combining.py table     # print everything; tables: print those of the page

Two models of each set: one trained on a fixed list of 16 orderings, one on fresh orderings. Their
first K members are combined in every way that the library has, and scored on test rows. Weights
and powers see validation rows and the first half of the drawn rows; the second half bounds Z;
the test rows come last. All figures are nats a row, higher is better; where Z is not 1 they are
conservative: less the upper limit of log Z.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

import made
from combining_tables import (
    BEST_MEMBER,
    LEARNED_PRODUCT,
    ORDERINGS,
    SETS,
    Result,
    filled,
    full,
    page_tables,
    stored,
)
from harness import machine, versions
from made.benchmark.combinations import (
    LEARNING_STEPS,
    Entry,
    best_power,
    bound,
    draw,
    drawn_evenly,
    halves,
    mean_member,
    mixture,
    mixtures,
    product,
)
from made.density import Density
from made.ensemble import Combination, Members, learn_product

MANY_MEMBERS = ("dna", "nips")
MAX_ROWS = 2000


def some_rows(rows: np.ndarray, seed: int) -> torch.Tensor:
    """Return the rows that are scored, drawn by the seed, since some files are sorted."""
    order = np.random.default_rng(seed).permutation(len(rows))
    return torch.as_tensor(rows[np.sort(order[:MAX_ROWS])])


def train_members(
    train: np.ndarray, valid: np.ndarray, n_members: int, arguments: argparse.Namespace, **how: Any
) -> tuple[Density, Members]:
    """Return a trained density, and more members of it than it was validated with."""
    density = made.fit(
        train, valid, combine="mixture", max_time=arguments.seconds, seed=arguments.seed,
        threads=arguments.threads, progress=False, **how,
    )  # fmt: skip
    everyone = density.combine(valid[:1], "mixture", members=n_members)
    return density, everyone._fitted.ensemble.members


def singles(valid: np.ndarray) -> list[Entry]:
    """Return one ordering, on average and the best one, and the mixture of equal weights."""
    n_members = valid.shape[1]
    best = np.eye(n_members)[valid.mean(axis=0).argmax()]
    return [
        mean_member(n_members),
        Entry(BEST_MEMBER, Combination(best)),
        mixture(n_members),
    ]


def products(members: Members, valid: np.ndarray, seed: int) -> list[Entry]:
    """Return powers below 1 and trees; no draw that tuned one of them bounds its Z."""
    n_members = valid.shape[1]
    drawn = drawn_evenly(members, n_members, seed)
    tuning, fresh = halves(drawn)
    learned = learn_weights(valid, tuning)
    own = draw(members, learned.weights, len(fresh), seed + 2)
    evenly = Combination.uniform(n_members).weights
    branches = [np.arange(n_members) * n // n_members for n in (2, 4) if n < n_members]
    trees = [Combination(evenly, 0.0, each) for each in branches]
    return [
        product(n_members, drawn),
        Entry(LEARNED_PRODUCT, learned, bound(learned, own)),
        best_power(valid, drawn),
        *(Entry(f"product of {tree.n_branches} mixtures", tree, bound(tree, drawn))
          for tree in trees),
    ]  # fmt: skip


def learn_weights(valid: np.ndarray, drawn: np.ndarray) -> Combination:
    """Return the product of learned weights; what is nearly nothing is left out."""
    proposal = Combination.uniform(valid.shape[1]).log_mean(drawn)
    weights = learn_product(valid, drawn, proposal, max_steps=LEARNING_STEPS).weights
    weights = np.where(weights < 1e-4 / len(weights), 0.0, weights)
    return Combination(weights / weights.sum(), 0.0)


def line(entry: Entry, valid: np.ndarray, test: np.ndarray) -> dict[str, Any]:
    """Return the figures of a combination; ``gain`` is over the mean of all single members."""
    n_members = entry.combination.n_members
    scores = entry.scores(test[:, :n_members])
    evenly = mixture(n_members).scores(test[:, :n_members])
    normalizer = entry.normalizer
    return {
        "combination": entry.name,
        "members": n_members,
        "kept": len(entry.combination.support),
        "power": entry.combination.power,
        **_mean_and_error("test", scores),
        **_mean_and_error("difference", scores - evenly),
        **_mean_and_error("gain", scores - test.mean(axis=1)),
        "validation": float(entry.scores(valid[:, :n_members]).mean()),
        "log_normalizer": normalizer.estimate,
        "log_normalizer_lower": normalizer.lower,
        "log_normalizer_upper": normalizer.upper,
        "acceptance": math.exp(normalizer.estimate),
        "draws": normalizer.n_draws,
    }


def _mean_and_error(name: str, values: np.ndarray) -> dict[str, float]:
    error = values.std(ddof=1) / math.sqrt(len(values))
    return {name: float(values.mean()), f"{name}_error": float(error)}


def study(name: str, orderings: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a model, combine its first 1, 2, 4, ... members, and score them on test rows."""
    started = time.perf_counter()
    with np.load(arguments.data / SETS[name] / f"{name}.npz") as arrays:
        train, valid, test = (arrays[split] for split in ("train", "valid", "test"))
    most = 16 if orderings == "fixed" else 1024 if name in MANY_MEMBERS else 256
    with timed("training"):
        density, members = train_members(
            train, valid, most, arguments, orderings=ORDERINGS[orderings]
        )
    with timed(f"validation rows under {most} members"):
        valid_log_probs = members.log_probs(some_rows(valid, arguments.seed))
    entries = singles(valid_log_probs[:, :1])
    for n_members in (2**n for n in range(1, most.bit_length())):
        with timed(f"combining {n_members} members"):
            some = valid_log_probs[:, :n_members]
            entries += [*singles(some), *mixtures(some), *products(members, some, arguments.seed)]
    with timed(f"test rows under {most} members"):
        test_log_probs = members.log_probs(some_rows(test, arguments.seed))
    return {
        "suite": "combining",
        "set": name,
        "orderings": orderings,
        "seed": arguments.seed,
        "seconds": arguments.seconds,
        "threads": arguments.threads,
        "versions": versions(("made", "torch", "numpy", "numba")),
        "machine": machine(),
        "columns": train.shape[1],
        "training_rows": len(train),
        "validation_rows": len(valid_log_probs),
        "test_rows": len(test_log_probs),
        "epochs": density.record.epochs,
        "seconds_in_all": round(time.perf_counter() - started, 1),
        "lines": [line(entry, valid_log_probs, test_log_probs) for entry in entries],
    }


@contextmanager
def timed(what: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    print(f"  {time.perf_counter() - started:6.1f} s  {what}", flush=True)


def main() -> None:
    command = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = ("run", "page", "plot", "tables", "table")
    command.add_argument("action", nargs="?", choices=actions, default="run")
    command.add_argument("--set", action="append", choices=SETS, help="may be repeated")
    command.add_argument("--seconds", type=float, default=90.0, help="for training each model")
    data = Path(os.environ.get("MADE_DATA", "../shared/data"))
    command.add_argument("--data", type=Path, default=data)
    command.add_argument("--out", type=Path, default=Path("benchmarks/results/combining"))
    command.add_argument("--again", action="store_true", help="measure what is there already too")
    command.add_argument("--docs", type=Path, default=Path("docs"), help="folder of the page")
    command.add_argument("--threads", type=int, default=2)
    command.add_argument("--seed", type=int, default=0)
    arguments = command.parse_args()
    if arguments.action == "run":
        run(arguments)
    else:
        render(arguments.action, stored(arguments.out), arguments.docs)


def render(action: str, results: list[Result], docs: Path) -> None:
    if action == "plot":
        from combining_plots import plot  # The others need no matplotlib.

        plot(results, docs)
    elif action == "page":
        page = docs / "combining-orderings.md"
        page.write_text(filled(page.read_text(), page_tables(results)))
    elif action == "tables":
        for name, make in page_tables(results).items():
            print(f"\n{name}\n\n{make()}")
    else:
        print("\n".join(full(result) for result in results))


def run(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.set or SETS:
        for orderings in ORDERINGS:
            path = arguments.out / f"{name}-{orderings}.json"
            if path.exists() and not arguments.again:
                print(f"{path} is there already (--again measures it anew)")
                continue
            print(f"{name}, {orderings} orderings", flush=True)
            result = study(name, orderings, arguments)
            path.write_text(json.dumps(result, indent=1) + "\n")
            print(full(result), flush=True)


if __name__ == "__main__":
    main()
