"""``made demo``: the main jobs on data that needs no download: digits, and penguins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from made.cli.running import (
    AsJson,
    Debug,
    Seed,
    Threads,
    print_json,
    print_table,
    reports_errors,
    seconds_since_start,
    using_threads,
)

if TYPE_CHECKING:
    from made.demo import DemoResult, PenguinsResult

# Of the time for training, the rest being for the digits.
_PENGUINS_SHARE = 1 / 3


@reports_errors
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write (.png).")] = Path(
        "made-demo-digits.png"
    ),
    max_time: Annotated[str, typer.Option(help="Time for training both.")] = "90s",
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit scikit-learn's 8x8 digits and draw new ones; find the odd ones among the penguins."""
    del debug
    from made.storage import check_writable
    from made.training.options import parse_duration

    check_writable(out)
    from made.demo import digits, penguins

    budget = parse_duration(max_time)
    with using_threads(threads):
        result = digits(out, max_time=budget * (1 - _PENGUINS_SHARE), seed=seed)
        if not as_json:
            _print_digits(result)
        found = penguins(max_time=budget * _PENGUINS_SHARE, seed=seed)
    seconds = round(seconds_since_start(), 1)
    if as_json:
        print_json(result.to_json() | {"penguins": found.to_json(), "seconds": seconds})
        return
    _print_penguins(found)
    print(f"\n{seconds:.0f} s")


def _print_digits(result: DemoResult) -> None:
    print("Binarized 8x8 digits: log-likelihood of held-out rows, nats a row, higher is better\n")
    rows = [
        [name, f"{mean:.2f}", f"{error:.2f}"] for name, (mean, error) in result.log_probs.items()
    ]
    print_table(["", "mean", "standard error"], rows)
    print(f"\nReal digits (left) beside drawn ones (right): {result.picture}\n")


def _print_penguins(found: PenguinsResult) -> None:
    print(
        f"Palmer penguins: {found.n_rows} rows, {found.n_missing} cells missing. The least likely, "
        f"and the cell to blame\n(log p in nats, {found.mean_log_prob:.2f} in the mean; the "
        "cell in nats below the median of its column)\n"
    )
    rows = [
        [
            str(one.row),
            one.cells["species"],
            one.cells["island"],
            one.cells["sex"],
            f"{one.log_prob:.2f}",
            f"{one.column} = {one.value}",
            f"{one.shortfall:.2f}",
        ]
        for one in found.odd
    ]
    header = ["row", "species", "island", "sex", "log p", "cell to blame", "nats below usual"]
    print_table(header, rows, to_the_left=4)
