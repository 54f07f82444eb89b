"""Real tables: made beside other density models and beside synthesizers, set by set.

    python benchmarks/tables.py                     # all four parts, everything not there yet
    python benchmarks/tables.py continuous --set energy --budget 120
    python benchmarks/tables.py show --json benchmarks/results/tables.json

continuous   held-out nats of six real-valued sets under one shared noise
mixed        held-out log mass of eleven mixed tables, beside a Chow-Liu tree
two-sample   AUC of a classifier that tells held-out rows from drawn rows
every-table  all seventeen tables, with no argument beside the path

Each set's figures are a file in benchmarks/results/tables; scores of rows and drawn rows are kept
in ``--cache``, so that a run can be interrupted and methods be added one by one (``--methods``).
arfpy and sdv run in environments of their own (``--arf-python``, ``--sdv-python``).
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import tables_continuous
import tables_every
import tables_mixed
import tables_two_sample
from harness import Result, machine, parser, report, versions

PARTS = {
    "continuous": tables_continuous,
    "mixed": tables_mixed,
    "two-sample": tables_two_sample,
    "every-table": tables_every,
}
PACKAGES = ("made", "torch", "numpy", "pandas", "scikit-learn", "zuko")
_TABLE_NAMES = {"adult_census_train": "adult", "protein_tertiary_structure": "protein"}


def run(part: str, name: str, arguments: argparse.Namespace) -> None:
    """Measure what is missing of a set, and write its figures."""
    found = PARTS[part].measure(name, arguments)
    if not found:
        return
    content = {
        "suite": "tables",
        "part": part,
        "seed": arguments.seed,
        "threads": arguments.threads,
        "budget": arguments.budget,
        "machine": machine(),
        "versions": versions(PACKAGES),
        **PARTS[part].summary(name, found, arguments),
    }
    path = _path(part, name, arguments)
    path.write_text(json.dumps(content, indent=1) + "\n")


def show(part: str, contents: list[dict[str, Any]]) -> None:
    """Print a part's figures as a table in Markdown."""
    if part == "every-table":
        _print_row("table", "rows", "columns", "seconds", "held-out nats", "lowest row")
        _print_row(*["---"] * 6)
        for item in contents:
            _print_row(
                item["set"],
                str(item["rows"]),
                str(item["columns"]),
                f"{item['seconds']:.0f}",
                _with_error(item["test"], item["standard_error"]),
                f"{item['lowest']:.1f}",
            )
        return
    methods = [name for name in PARTS[part].METHODS
               if any(name in item["methods"] for item in contents)]  # fmt: skip
    two_sample = part == "two-sample"
    last = "AUC of training rows" if two_sample else "made less the best peer"
    _print_row("set", *methods, last)
    _print_row(*["---"] * (2 + len(methods)))
    for item in contents:
        cells = []
        for method in methods:
            figures = item["methods"].get(method)
            cells.append("" if figures is None else _auc(figures) if two_sample
                         else _with_error(figures["test"], figures["standard_error"]))  # fmt: skip
        if two_sample:
            cells.append(f"{item['methods'][tables_two_sample.REAL]['auc']:.3f}")
        elif "difference" in item:
            cells.append(
                f"{_with_error(item['difference'], item['difference_error'], '+')} "
                f"({item['best_peer']})"
            )
        _print_row(item["set"], *cells)


def results_of(part: str, contents: list[dict[str, Any]]) -> list[Result]:
    """Return the figures in the form that all benchmarks share."""
    results = []
    for item in contents:
        name = f"{part}, {_TABLE_NAMES.get(item['set'], item['set'])}"
        if part == "every-table":
            results.append(Result(f"{name}: made, seconds", item["seconds"], "s"))
            results.append(Result(f"{name}: made", item["test"], "nats a row", None, "higher"))
            continue
        higher = part != "two-sample"
        for method, figures in item["methods"].items():
            value = figures["test" if higher else "auc"]
            better = "higher" if higher else "lower"
            results.append(Result(f"{name}: {method}", value, item["unit"], None, better))
        if "difference" not in item:
            continue
        if higher:
            results.append(Result(f"{name}: made less {item['best_peer']}", item["difference"],
                                  "nats a row", 0.0, "higher"))  # fmt: skip
        else:
            what = f"{name}: |AUC - 0.5|, made less {item['best_peer']}"
            results.append(Result(what, item["difference"], "AUC", 0.0))
    return results


def _with_error(value: float, error: float, sign: str = "") -> str:
    return f"{value:{sign}.3f} +- {error:.3f}"


def _auc(figures: dict[str, Any]) -> str:
    return (
        f"{figures['auc']:.3f} +- {figures['standard_error']:.3f} "
        f"({figures['fit_seconds']:.0f} s + {figures['sample_seconds']:.1f} s)"
    )


def _print_row(*cells: str) -> None:
    print("| " + " | ".join(cells) + " |")


def _path(part: str, name: str, arguments: argparse.Namespace) -> Path:
    return arguments.out / f"{part}-{name}.json"


def main() -> None:
    command = parser(__doc__)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.add_argument("part", nargs="?", choices=(*PARTS, "show"), help="all four by default")
    command.add_argument("--set", action="append", help="may be repeated; all by default")
    command.add_argument(
        "--methods", type=lambda text: text.split(","), help="comma-separated; all by default"
    )
    command.add_argument("--again", type=lambda text: text.split(","), default=[],
                         help="methods to measure anew, comma-separated, or 'all'")  # fmt: skip
    command.add_argument(
        "--budget", type=float, default=120.0, help="seconds for a fit of made or one of a flow"
    )
    command.add_argument(
        "--peer-seconds",
        type=float,
        default=600.0,
        help="processor seconds for CTGAN, and for the forests of arfpy",
    )
    data = Path(os.environ.get("MADE_DATA", "../shared/data"))
    command.add_argument("--data", type=Path, default=data)
    command.add_argument("--out", type=Path, default=Path("benchmarks/results/tables"))
    cache = Path(tempfile.gettempdir()) / "made-tables"
    command.add_argument("--cache", type=Path, default=cache, help="scores and draws of the runs")
    command.add_argument("--arf-python", default=".venv-arf/bin/python")
    command.add_argument("--sdv-python", default=".venv-sdv/bin/python")
    command.set_defaults(threads=1)
    arguments = command.parse_args()
    _limit_threads(arguments.threads)
    for folder in (arguments.out, arguments.cache):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = [arguments.part] if arguments.part in PARTS else list(PARTS)
    results = []
    for part in chosen:
        module = PARTS[part]
        arguments_of_part = argparse.Namespace(**vars(arguments))
        arguments_of_part.methods = arguments.methods or module.METHODS
        names = [name for name in module.SETS if not arguments.set or name in arguments.set]
        if arguments.part != "show":
            for name in names:
                if part == "every-table" and _path(part, name, arguments).exists() \
                        and not arguments.again:  # fmt: skip
                    continue
                run(part, name, arguments_of_part)
        paths = [_path(part, name, arguments) for name in names]
        contents = [json.loads(path.read_text()) for path in paths if path.exists()]
        if contents:
            print(f"\n## {part}\n")
            show(part, contents)
            results += results_of(part, contents)
    if results and arguments.json:
        print()
        report(results, arguments, PACKAGES)


def _limit_threads(threads: int) -> None:
    """Keep torch and the numerical libraries to so many threads, those of other processes too."""
    import torch
    from threadpoolctl import threadpool_limits

    os.environ["OMP_NUM_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    threadpool_limits(threads)


if __name__ == "__main__":
    main()
