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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import made
from combining_tables import (
    BEST_MEMBER,
    BEST_POWER,
    EM,
    LEARNED_PRODUCT,
    MEAN,
    MIXTURE,
    ORDERINGS,
    PRODUCT,
    SETS,
    SMOOTH_EM,
    SPARSE_EM,
    Result,
    filled,
    full,
    page_tables,
    stored,
)
from harness import machine, versions
from made.density import Density
from made.ensemble import Combination, Members, learn_mixture, learn_product
from made.ensemble.confidence import ConfidenceSequence
from made.ensemble.draws import draw_mixture

MANY_MEMBERS = ("dna", "nips")
MAX_ROWS = 2000
# Rows times members that are drawn and scored for each number of members.
DRAWN_CELLS, LEAST_DRAWN, MOST_DRAWN = 2**20, 2048, 16384
BATCH_DRAWN = 512
LEVEL = 0.95
POWERS = [tenths / 10 for tenths in range(10)]
LEARNING_STEPS = 500


@dataclass(frozen=True)
class Normalizer:
    """log Z: its estimate and limits, and from how many draws; of a mixture it is 0."""

    estimate: float = 0.0
    lower: float = 0.0
    upper: float = 0.0
    n_draws: int = 0


@dataclass(frozen=True)
class Entry:
    """A combination of the first members, ready to be scored."""

    name: str
    combination: Combination
    normalizer: Normalizer = Normalizer()

    def scores(self, log_probs: np.ndarray) -> np.ndarray:
        """Return conservative nats of each row, from the log-probs of all members."""
        used = log_probs[:, self.combination.support]
        return self.combination.log_mean(used) - self.normalizer.upper


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


def draw(members: Members, weights: np.ndarray, n_drawn: int, seed: int) -> np.ndarray:
    """Return log-probs, under the first members if they have weight, of rows of their mixture."""
    padded = np.pad(weights, (0, len(members) - len(weights)))
    rows = draw_mixture(members, padded, 0, n_drawn, seed)
    return members.log_probs(torch.as_tensor(rows), np.flatnonzero(weights))


def bound(combination: Combination, drawn: np.ndarray) -> Normalizer:
    """Return log Z with limits, from rows of the mixture of the same weights."""
    terms = np.exp(combination.log_ratio(drawn))
    sequence = ConfidenceSequence(LEVEL)
    for start in range(0, len(terms), BATCH_DRAWN):
        sequence.add(terms[start : start + BATCH_DRAWN], n_planned=len(terms))
    tiny = np.finfo(float).tiny
    estimate, lower, upper = np.log(np.maximum((sequence.mean, *sequence.interval()), tiny))
    return Normalizer(float(estimate), float(lower), float(upper), len(terms))


def singles(valid: np.ndarray) -> list[Entry]:
    """Return one ordering, on average and the best one, and the mixture of equal weights."""
    n_members = valid.shape[1]
    best = np.eye(n_members)[valid.mean(axis=0).argmax()]
    return [
        # The product without its normaliser is the mean of the members' nats.
        Entry(MEAN, Combination.uniform(n_members, 0.0)),
        Entry(BEST_MEMBER, Combination(best)),
        Entry(MIXTURE, Combination.uniform(n_members)),
    ]


def mixtures(valid: np.ndarray) -> list[Entry]:
    return [
        Entry(name, Combination(learn_mixture(valid, c, max_steps=LEARNING_STEPS).weights))
        for name, c in ((EM, 1.0), (SMOOTH_EM, 5.0), (SPARSE_EM, 0.5))
    ]


def products(members: Members, valid: np.ndarray, seed: int) -> list[Entry]:
    """Return powers below 1 and trees; no draw that tuned one of them bounds its Z."""
    n_members = valid.shape[1]
    product = Combination.uniform(n_members, 0.0)
    n_drawn = int(np.clip(DRAWN_CELLS // n_members, LEAST_DRAWN, MOST_DRAWN))
    drawn = draw(members, product.weights, n_drawn, seed + 1)
    tuning, fresh = drawn[: n_drawn // 2], drawn[n_drawn // 2 :]
    candidates = [Combination.uniform(n_members, power) for power in POWERS]
    best = max((Entry("", power, bound(power, tuning)) for power in candidates),
               key=lambda entry: entry.scores(valid).mean()).combination  # fmt: skip
    learned = learn_weights(valid, tuning)
    branches = [np.arange(n_members) * n // n_members for n in (2, 4) if n < n_members]
    trees = [Combination(product.weights, 0.0, each) for each in branches]
    own = draw(members, learned.weights, len(fresh), seed + 2)
    return [
        Entry(PRODUCT, product, bound(product, drawn)),
        Entry(LEARNED_PRODUCT, learned, bound(learned, own)),
        Entry(BEST_POWER, best, bound(best, fresh)),
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
    mixture = Combination.uniform(n_members).log_mean(test[:, :n_members])
    normalizer = entry.normalizer
    return {
        "combination": entry.name,
        "members": n_members,
        "kept": len(entry.combination.support),
        "power": entry.combination.power,
        **_mean_and_error("test", scores),
        **_mean_and_error("difference", scores - mixture),
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
