"""The cost of scoring rows: one member against one dense pass, many members against one.

python benchmarks/scoring.py --json benchmarks/results/scoring.json
"""

from __future__ import annotations

import resource
import statistics

import torch

from harness import Result, in_turn, median_ratio, parser, report
from made.ensemble import Ensemble
from peers import VERSIONS, our_model, unmasked

# Columns, width, and the most that scoring 1000 rows may cost against one dense pass.
SIZES = ((784, 500, None), (784, 2000, 0.7))

# How often a single member is scored for one pass of a thousand.
_ALONE = 30


def main() -> None:
    command = parser(__doc__ or "")
    command.add_argument("--members-only", action="store_true", help="leave the large networks out")
    command.add_argument("--rounds", type=int, default=9)
    arguments = command.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    results = []
    for n_columns, width, target in () if arguments.members_only else SIZES:
        rows = (torch.rand(1000, n_columns) < 0.3).float()
        model = our_model(n_columns, width, rows, arguments.seed)
        member = model.connectivity_source(arguments.seed, None).members(1)[0]
        wiring = model.network.wire_prepared(member, len(rows))
        plain = unmasked(n_columns, width)
        jobs = {
            "one dense pass": lambda plain=plain, rows=rows: plain(rows),
            "score, prepared": lambda m=model, r=rows, w=wiring: m.log_prob(r, w),
            "score, from the weights": lambda m=model, r=rows, c=member: m.log_prob(
                r, m.network.wire_prepared(c, len(r))
            ),
        }
        with torch.no_grad():
            seconds = in_turn(
                jobs, rounds=arguments.rounds, repeats=max(2, 5000 // width), warm_up=3
            )
        place = f"1000 rows, {n_columns} columns, ({width}, {width})"
        for name, taken in seconds.items():
            results.append(Result(f"{place}: {name}", statistics.median(taken) * 1000, "ms"))
        for name in list(jobs)[1:]:
            ratio = median_ratio(seconds[name], seconds["one dense pass"])
            wanted = target if name == "score, prepared" else None
            results.append(Result(f"{place}: {name} / dense", ratio, "ratio", wanted))
    results += many_members(arguments.seed, arguments.rounds)
    report(results, arguments, VERSIONS)


def many_members(seed: int, rounds: int) -> list[Result]:
    """Return what 1000 members cost against one, over the same rows, and the memory it takes."""
    rows = (torch.rand(1000, 180) < 0.3).float()
    model = our_model(180, 500, rows, seed)
    members = model.connectivity_source(seed, None).members(1000)
    one, everyone = Ensemble.mixture(model, members[:1]), Ensemble.mixture(model, members)

    def alone() -> None:
        for _ in range(_ALONE):
            one.log_prob(rows)

    jobs = {"one": alone, "all": lambda: everyone.log_prob(rows)}
    seconds = in_turn(jobs, rounds=min(rounds, 3), warm_up=1)
    ratio = median_ratio(seconds["all"], seconds["one"]) * _ALONE / len(members)
    # On Linux in KiB: the most that this process has held.
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    place = "1000 rows of 180 columns"
    return [
        Result(f"{place}: a member among 1000 / a member alone", ratio, "ratio", 0.8),
        Result(f"{place}: memory of the process", memory, "GiB", 2.0),
    ]


if __name__ == "__main__":
    main()
