"""How the cost of drawing and scoring grows: with columns, width, rows, members. As plots.

python benchmarks/scaling.py --json benchmarks/results/scaling.json --plot docs/scaling.png
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from harness import Result, in_turn, parser, report
from made.ensemble import Ensemble
from made.ordered import OrderedCache, sample_ordered
from made.uniforms import uniforms
from peers import VERSIONS, our_model

COLUMNS = (98, 196, 392, 784, 1568, 3072)
WIDTHS = (125, 250, 500, 1000, 2000)
ROWS = (1, 10, 100, 1000, 10000)
MEMBERS = (1, 4, 16, 64)


def seconds_for(job: Callable[[], object], rounds: int) -> float:
    return statistics.median(in_turn({"job": job}, rounds=rounds, warm_up=2)["job"])


def drawing(n_columns: int, width: int, n_rows: int, seed: int) -> Callable[[], object]:
    rows = (torch.rand(100, n_columns) < 0.3).float()
    model = our_model(n_columns, width, rows, seed)
    member = model.connectivity_source(seed, None).members(1)[0]
    cache = OrderedCache(model)
    return lambda: sample_ordered(cache, member, uniforms(seed, 0, n_rows, n_columns))


def scoring(n_members: int, seed: int) -> Callable[[], object]:
    rows = (torch.rand(1000, 784) < 0.3).float()
    model = our_model(784, 500, rows, seed)
    ensemble = Ensemble.mixture(model, model.connectivity_source(seed, None).members(n_members))
    return lambda: ensemble.log_prob(rows)


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--rounds", type=int, default=7)
    command.add_argument("--plot", type=Path, help="write the plots to this file (.png)")
    arguments = command.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    seed, rounds = arguments.seed, arguments.rounds
    curves = {
        "columns (draw 1000 rows, width 500)": {
            n: seconds_for(drawing(n, 500, 1000, seed), rounds) for n in COLUMNS
        },
        "width (draw 1000 rows, 784 columns)": {
            n: seconds_for(drawing(784, n, 1000, seed), rounds) for n in WIDTHS
        },
        "rows drawn (784 columns, width 500)": {
            n: seconds_for(drawing(784, 500, n, seed), rounds) for n in ROWS
        },
        "members (score 1000 rows, 784 columns)": {
            n: seconds_for(scoring(n, seed), rounds) for n in MEMBERS
        },
    }
    results = [
        Result(f"{name} = {size}", seconds * 1000, "ms")
        for name, curve in curves.items()
        for size, seconds in curve.items()
    ]
    sizes, taken = zip(*curves["columns (draw 1000 rows, width 500)"].items(), strict=True)
    # The arithmetic of a row is linear in the columns at a fixed width, beside a constant part.
    slope = float(np.polyfit(np.log(sizes[2:]), np.log(taken[2:]), 1)[0])
    results.append(Result("growth of drawing with columns: exponent", slope, "", 1.15))
    report(results, arguments, VERSIONS)
    if arguments.plot:
        draw_plots(curves, arguments.plot)


def draw_plots(curves: dict[str, dict[int, float]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.4), sharey=True)
    for axis, (name, curve) in zip(axes, curves.items(), strict=True):
        sizes = np.array(list(curve))
        milliseconds = 1000 * np.array(list(curve.values()))
        axis.loglog(sizes, milliseconds, "o-", label="measured")
        axis.loglog(sizes, milliseconds[-1] * sizes / sizes[-1], ":", color="grey", label="linear")
        axis.set_xlabel(name)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("milliseconds")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
