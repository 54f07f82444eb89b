"""``made demo``: the main job on data that ships with scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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


@reports_errors
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write (.png).")] = Path(
        "made-demo-digits.png"
    ),
    max_time: Annotated[str, typer.Option(help="Time for training.")] = "60s",
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fit scikit-learn's 8x8 digits, compare single orderings with the mixture, draw new digits."""
    del debug
    from made.storage import check_writable

    check_writable(out)
    from made.demo import digits

    with using_threads(threads):
        result = digits(out, max_time=max_time, seed=seed)
    seconds = round(seconds_since_start(), 1)
    if as_json:
        print_json(result.to_json() | {"seconds": seconds})
        return
    print("Binarized 8x8 digits: log-likelihood of held-out rows, nats a row, higher is better\n")
    rows = [
        [name, f"{mean:.2f}", f"{error:.2f}"] for name, (mean, error) in result.log_probs.items()
    ]
    print_table(["", "mean", "standard error"], rows)
    print(f"\nReal digits (left) beside drawn ones (right): {result.picture}")
    print(f"{seconds:.0f} s")
