"""The cost of drawing rows: against one dense pass, against a pass a column, against others.

python benchmarks/sampling.py --json benchmarks/results/sampling.json
"""

from __future__ import annotations

import resource
import statistics

import torch
from torch import Tensor

from harness import Result, in_turn, median_ratio, parser, report
from made.ensemble import Ensemble
from made.ordered import OrderedCache, sample_ordered
from made.uniforms import uniforms
from peers import VERSIONS, draw, networks, our_model, sbi_estimator, unmasked
from peers_tensorflow import tensorflow_draw, tensorflow_network

# Rows: the most that drawing may cost against one dense pass of as many rows, and the least
# that it must be faster than a dense pass for every column.
TARGETS: dict[int, tuple[float | None, float | None]] = {
    1: (None, 60),
    100: (None, 200),
    1000: (1.5, None),
    10000: (None, None),
}


def measure(n_columns: int, width: int, counts: list[int], rounds: int, seed: int) -> list[Result]:
    """Return the figures of one size; the draws include making the uniforms."""
    rows = (torch.rand(1000, n_columns) < 0.3).float()
    model = our_model(n_columns, width, rows, seed)
    member = model.connectivity_source(seed, None).members(1)[0]
    cache = OrderedCache(model)
    plain = unmasked(n_columns, width)
    results = []
    place = f"{n_columns} columns, ({width}, {width})"
    for n_rows in counts:
        inputs = torch.rand(n_rows, n_columns)

        def dense(inputs: Tensor = inputs) -> None:
            with torch.no_grad():
                plain(inputs)

        def ours(n_rows: int = n_rows) -> None:
            sample_ordered(cache, member, uniforms(seed, 0, n_rows, n_columns))

        repeats = max(1, 2000 // (n_rows + 20) // (width // 500))
        seconds = in_turn({"dense": dense, "ours": ours}, rounds=rounds, repeats=repeats, warm_up=3)
        ratio = median_ratio(seconds["ours"], seconds["dense"])
        against_one, against_all = (
            TARGETS[n_rows]
            if width == 500 and n_columns == 784
            else (
                None,
                None,
            )
        )
        median = statistics.median(seconds["ours"])
        results += [
            Result(f"draw {n_rows} rows, {place}", median * 1000, "ms"),
            Result(f"draw {n_rows} rows, {place} / one dense pass", ratio, "ratio", against_one),
            Result(
                f"{n_columns} dense passes of {n_rows} rows / draw, {place}",
                n_columns / ratio,
                "times",
                against_all,
                "higher",
            ),
        ]
    return results


def against_peers(n_columns: int, width: int, n_rows: int, seed: int) -> list[Result]:
    """Return how much faster ours draws than the fastest of the others."""
    rows = (torch.rand(n_rows, n_columns) < 0.3).float()
    model = our_model(n_columns, width, rows, seed)
    member = model.connectivity_source(seed, None).members(1)[0]
    cache = OrderedCache(model)
    jobs = {}
    for name, module in networks(n_columns, width).items():
        order = torch.arange(n_columns)
        if name == "pyro":
            order = module.permutation
        jobs[name] = lambda module=module, order=order: draw(module.eval(), order, n_rows)
    estimator = sbi_estimator(n_columns, width)
    if estimator is not None:
        jobs["sbi"] = lambda: estimator.sample(torch.Size((1,)), torch.zeros(n_rows, 1))
    network = tensorflow_network(n_columns, width, torch.get_num_threads())
    if network is not None:
        jobs["tensorflow-probability"] = tensorflow_draw(network, n_columns, n_rows)
    if not jobs:
        return []
    with torch.no_grad():
        # The first call of a compiled one compiles.
        seconds = in_turn(jobs, rounds=3, warm_up=int(network is not None))
    ours = in_turn(
        {"ours": lambda: sample_ordered(cache, member, uniforms(seed, 0, n_rows, n_columns))},
        rounds=15,
        warm_up=3,
    )["ours"]
    results = []
    for name, taken in seconds.items():
        ratio = statistics.median(taken) / statistics.median(ours)
        label = f"draw {n_rows} rows, {n_columns} columns, ({width}, {width}): {name} / made"
        results.append(Result(label, ratio, "times", 200, "higher"))
    return results


def memory(n_columns: int, n_rows: int, seed: int) -> Result:
    """Return the memory above the result that drawing many rows takes, in GiB."""
    rows = (torch.rand(100, n_columns) < 0.3).float()
    model = our_model(n_columns, 500, rows, seed)
    members = model.connectivity_source(seed, None).members(16)
    ensemble = Ensemble.mixture(model, members)
    ensemble.sample(5000, seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = ensemble.sample(n_rows, seed)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    above = max(grown - result.nbytes, 0) / 2**30
    return Result(f"memory to draw {n_rows} rows of {n_columns} columns", above, "GiB", 1.0)


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--rounds", type=int, default=9)
    arguments = command.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    counts = list(TARGETS)
    # First: the peak of the process only ever rises.
    results = [memory(784, 100_000, arguments.seed)]
    results += measure(784, 500, counts, arguments.rounds, arguments.seed)
    results += measure(784, 2000, counts[:3], arguments.rounds, arguments.seed)
    results += measure(3072, 500, counts[:3], arguments.rounds, arguments.seed)
    results += against_peers(784, 500, 100, arguments.seed)
    report(results, arguments, VERSIONS)


if __name__ == "__main__":
    main()
