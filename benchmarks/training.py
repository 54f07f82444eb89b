"""The cost of a training step, beside that of other libraries.

Ours draws a fresh connectivity at every step; theirs have one fixed mask. All train on the same
rows with the same fused AdamW, one after the other, round by round.

    python benchmarks/training.py --json benchmarks/results/training.json
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Result, in_turn, median_ratio, parser, report
from made.training.options import TrainingOptions
from made.training.state import TrainingState
from made.training.step import TrainingStep
from peers import VERSIONS, networks, our_model, sbi_estimator, unmasked
from peers_tensorflow import tensorflow_network, tensorflow_step

# Columns, width, batch, and the most that a step may cost against the fastest peer.
SIZES = ((784, 500, 128, 0.9), (784, 2000, 512, 0.7))


def plain_step(module: nn.Module, rows: Tensor) -> Callable[[], None]:
    """Return one step of Bernoulli cross-entropy with fused AdamW."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, fused=True)

    def step() -> None:
        optimizer.zero_grad()
        logits = module(rows)
        loss = F.binary_cross_entropy_with_logits(logits, rows, reduction="sum") / len(rows)
        loss.backward()
        optimizer.step()

    return step


def log_prob_step(estimator: Any, rows: Tensor) -> Callable[[], None]:
    """Return one step of a module that scores rows by itself, with fused AdamW."""
    optimizer = torch.optim.AdamW(estimator.parameters(), lr=1e-3, fused=True)
    context = torch.zeros(len(rows), 1)

    def step() -> None:
        optimizer.zero_grad()
        (-estimator.log_prob(rows, context).mean()).backward()
        optimizer.step()

    return step


def our_step(
    n_columns: int, width: int, rows: Tensor, seed: int, clip_norm: float, average_decay: float
) -> Callable[[], None]:
    """Return our step as training takes it."""
    model = our_model(n_columns, width, rows, seed)
    options = TrainingOptions(
        seed=seed,
        learning_rate=1e-3,
        clip_norm=clip_norm,
        average_decay=average_decay,
        batch_size=len(rows),
    )
    state = TrainingState(model, options)
    take_step = TrainingStep(state, options)
    count = iter(range(10**9))

    def step() -> None:
        index = next(count)
        take_step(index, rows)
        state.update_average(index)

    return step


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--rounds", type=int, default=15)
    arguments = command.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    results = []
    for n_columns, width, batch, target in SIZES:
        rows = (torch.rand(batch, n_columns) < 0.3).float()
        # The others neither clip their gradients nor average their weights, so the comparison is
        # without; the default recipe does both.
        ours = {
            "made": our_step(n_columns, width, rows, arguments.seed, 0.0, 0.0),
            "made, default recipe": our_step(n_columns, width, rows, arguments.seed, 5.0, 0.998),
        }
        peers = {
            name: plain_step(module, rows) for name, module in networks(n_columns, width).items()
        }
        estimator = sbi_estimator(n_columns, width)
        if estimator is not None:
            peers["sbi"] = log_prob_step(estimator, rows)
        network = tensorflow_network(n_columns, width, arguments.threads)
        if network is not None:
            peers["tensorflow-probability"] = tensorflow_step(network, rows.numpy())
        jobs = ours | peers | {"unmasked": plain_step(unmasked(n_columns, width), rows)}
        seconds = in_turn(jobs, rounds=arguments.rounds, repeats=max(2, 4000 // width), warm_up=3)
        medians = {name: statistics.median(taken) for name, taken in seconds.items()}
        place = f"step, {n_columns} columns, ({width}, {width}), batch {batch}"
        for name, median in medians.items():
            results.append(Result(f"{place}: {name}", median * 1000, "ms"))
        if peers:
            fastest = min(peers, key=lambda name: medians[name])
            ratio = median_ratio(seconds["made"], seconds[fastest])
            results.append(Result(f"{place}: made / {fastest}", ratio, "ratio", target))
    report(results, arguments, VERSIONS)


if __name__ == "__main__":
    main()
