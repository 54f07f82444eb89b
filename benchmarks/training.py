"""The cost of a training step, beside that of other libraries.

Ours draws a fresh connectivity at every step; theirs have one fixed mask. All train on the same
rows with the same fused AdamW, one after the other, round by round.

    python benchmarks/training.py --json benchmarks/results/training.json
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Result, in_turn, median_ratio, parser, report
from made.columns import Column
from made.model import Model
from made.network.config import NetworkConfig
from made.training.options import TrainingOptions
from made.training.state import TrainingState
from made.training.step import TrainingStep

PEERS = ("nflows", "normflows", "zuko", "pyro-ppl", "sbi")
# Columns, width, batch, and the most that a step may cost against the fastest peer.
SIZES = ((784, 500, 128, 0.9), (784, 2000, 512, 0.7))


def peer_steps(n_columns: int, width: int, rows: Tensor) -> Iterator[tuple[str, Callable]]:
    """Yield the training steps of the libraries that are installed."""
    for name, build in (
        ("nflows", _nflows),
        ("normflows", _normflows),
        ("zuko", _zuko),
        ("pyro", _pyro),
    ):
        try:
            module = build(n_columns, width)
        except ImportError:
            continue
        yield name, plain_step(module, rows)
    yield "unmasked", plain_step(
        nn.Sequential(
            nn.Linear(n_columns, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, n_columns),
        ),
        rows,
    )  # fmt: skip


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


def our_step(n_columns: int, width: int, rows: Tensor, seed: int) -> Callable[[], None]:
    """Return our step as training takes it, clipping and weight average included."""
    config = NetworkConfig(hidden=(width, width), direct_input=False, conditioning=False)
    model = Model([Column(f"x{d}") for d in range(n_columns)], config)
    model.initialize(seed, rows)
    options = TrainingOptions(seed=seed, learning_rate=1e-3)
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
        jobs = {"made": our_step(n_columns, width, rows, arguments.seed)}
        jobs |= dict(peer_steps(n_columns, width, rows))
        seconds = in_turn(jobs, rounds=arguments.rounds, repeats=max(2, 4000 // width), warm_up=3)
        medians = {name: statistics.median(taken) for name, taken in seconds.items()}
        place = f"step, {n_columns} columns, ({width}, {width}), batch {batch}"
        for name, median in medians.items():
            results.append(Result(f"{place}: {name}", median * 1000, "ms"))
        peers = [name for name in medians if name not in ("made", "unmasked")]
        if peers:
            fastest = min(peers, key=lambda name: medians[name])
            ratio = median_ratio(seconds["made"], seconds[fastest])
            results.append(Result(f"{place}: made / {fastest}", ratio, "ratio", target))
    report(results, arguments, ("made", "torch", *PEERS))


def _nflows(n_columns: int, width: int) -> nn.Module:
    from nflows.transforms.made import MADE

    return MADE(features=n_columns, hidden_features=width, num_blocks=1, use_residual_blocks=False)


def _normflows(n_columns: int, width: int) -> nn.Module:
    from normflows.nets.made import MADE

    return MADE(features=n_columns, hidden_features=width, num_blocks=1, use_residual_blocks=False)


def _zuko(n_columns: int, width: int) -> nn.Module:
    from zuko.nn import MaskedMLP

    adjacency = torch.arange(n_columns)[:, None] > torch.arange(n_columns)
    return MaskedMLP(adjacency, [width, width])


def _pyro(n_columns: int, width: int) -> nn.Module:
    from pyro.nn import AutoRegressiveNN

    return AutoRegressiveNN(n_columns, [max(width, n_columns)] * 2, param_dims=[1])


if __name__ == "__main__":
    main()
