"""Filling holes: accuracy, error, likelihood and calibration, beside other imputers.

    python benchmarks/imputation.py run --cache DIR      # goes on where it stopped
    python benchmarks/imputation.py large                # 30,000 rows, thousands of patterns
    python benchmarks/imputation.py show --json benchmarks/results/imputation.json

Cells of five tables are hidden, 10, 30 and 50% of them at random and 30% by their own values. Every
method sees the table with its holes, and fills them; only the hidden cells are scored.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness import Result, parser, report
from peers_imputers import IMPUTERS
from tables_data import numeric_columns, read_table

TABLES = ("adult_census_train", "california_housing", "titanic", "diamonds", "credit_card_default")
HOLES = ("10%", "30%", "50%", "by value")
_ROWS = 5000


def hide(frame: pd.DataFrame, holes: str, seed: int) -> np.ndarray:
    """Return which cells are hidden: none that was missing before.

    "by value": a number above its median is hidden three times as often as one below it, a rare
    level twice as often as the most frequent one; 30% in all.
    """
    random = np.random.default_rng([seed, HOLES.index(holes)])
    drawn = random.random(frame.shape)
    chances = np.full(frame.shape, 0.3 if holes == "by value" else float(holes[:-1]) / 100)
    if holes == "by value":
        numeric = numeric_columns(frame)
        for d, name in enumerate(frame):
            column = frame[name]
            if name in numeric:
                above = (column > column.median()).to_numpy()
                chances[:, d] = np.where(above, 0.45, 0.15)
            else:
                common = (column == column.mode().iloc[0]).to_numpy()
                share = common.mean()
                chances[:, d] = np.where(common, 0.3, 0.6) / (2 - share)
    return (drawn < chances) & frame.notna().to_numpy()


def with_holes(frame: pd.DataFrame, hidden: np.ndarray) -> pd.DataFrame:
    return frame.mask(pd.DataFrame(hidden, index=frame.index, columns=frame.columns))


def fill_by_made(
    frame: pd.DataFrame, truth: pd.DataFrame, hidden: np.ndarray, budget: float, seed: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the filled table, and the likelihood and calibration that only a density has."""
    import torch

    import made
    from made.queries.imputation import impute
    from made.table import as_table, fill, values_of

    kinds = {name: "categorical" for name in frame if name not in numeric_columns(truth)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        density = made.fit(
            frame, questions=True, max_time=budget, threads=1, seed=seed, progress=False,
            schema=kinds, keep=list(frame.columns),
        )  # fmt: skip
    started = time.perf_counter()
    table = as_table(frame)
    values = values_of(table, density.schema, "rare", unknown=True).astype(float)
    known = values_of(as_table(truth), density.schema, "rare", unknown=True).astype(float)
    torch.set_num_threads(1)
    found = impute(density._fitted.ensemble, values, interval=0.9, truth=known)
    numeric = np.array(
        [column.kind in ("integer", "continuous") for column in density.schema.columns]
    )
    here = hidden & numeric
    covered = ((found.low <= known) & (known <= found.high))[here]
    scores = found.log_probs[hidden]
    below, up_to = (share[here] for share in found.shares)
    uniform = below + np.random.default_rng(seed).random(len(below)) * (up_to - below)
    return fill(table, density.schema, found.values), {
        "log_prob": float(scores[np.isfinite(scores)].mean()),
        "log_prob_impossible": int((~np.isfinite(scores)).sum()),
        "coverage": float(covered.mean()),
        # Of whole numbers and repeated values an interval covers more than it says: a uniform
        # between the cdf below a value and at it does not.
        "uniform_within": float(((uniform >= 0.05) & (uniform <= 0.95)).mean()),
        "n_numbers": int(here.sum()),
        "seconds_imputing": time.perf_counter() - started,
    }


def scores_of(filled: pd.DataFrame, truth: pd.DataFrame, hidden: np.ndarray) -> dict[str, Any]:
    """Return, for each column, the error of each hidden cell: 0 or 1, or squared and scaled."""
    numeric = numeric_columns(truth)
    errors = {}
    for d, name in enumerate(truth):
        rows = hidden[:, d]
        if not rows.any():
            continue
        true, guess = truth[name][rows], filled[name][rows]
        if name in numeric:
            scale = float(truth[name].std()) or 1.0
            errors[name] = ((guess.astype(float) - true.astype(float)) / scale).pow(2).to_numpy()
        else:
            errors[name] = (_words(guess) != _words(true)).astype(float)
    return errors


def _words(column: pd.Series) -> np.ndarray:
    """Return levels as texts: 1 and 1.0 are one level, whatever holes made of their type."""
    numbers = pd.to_numeric(column, errors="coerce")
    return np.where(numbers.notna(), numbers.astype(float).astype(str), column.astype(str))


def run(arguments: Any) -> None:
    for name in arguments.sets or TABLES:
        frame = read_table(arguments.data, name)
        if len(frame) > _ROWS:
            frame = frame.sample(_ROWS, random_state=arguments.seed)
        frame = frame.reset_index(drop=True)
        for holes in arguments.holes or HOLES:
            place = arguments.out / f"{name}-{holes.replace('%', '').replace(' ', '-')}.json"
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                content = _compare(frame, holes, arguments)
                place.write_text(json.dumps({"table": name, "holes": holes} | content, indent=1))
                print(place.name, "done", flush=True)


def large(arguments: Any) -> None:
    """Fill a large table whose holes have thousands of patterns, and keep the seconds."""
    import torch

    import made

    frame = read_table(arguments.data, "adult_census_train").iloc[:30_000]
    given = with_holes(frame, hide(frame, "30%", arguments.seed))
    torch.set_num_threads(arguments.threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        density = made.fit(
            given, questions=True, max_time=60, threads=arguments.threads, progress=False,
            seed=arguments.seed,
        )  # fmt: skip
    started = time.perf_counter()
    density.impute(given)
    content = {
        "rows": len(given), "patterns": len(np.unique(given.isna().to_numpy(), axis=0)),
        "holes": int(given.isna().sum().sum()), "threads": arguments.threads,
        "seconds": time.perf_counter() - started,
    }  # fmt: skip
    (arguments.out / "large.json").write_text(json.dumps(content, indent=1))


def _compare(frame: pd.DataFrame, holes: str, arguments: Any) -> dict[str, Any]:
    hidden = hide(frame, holes, arguments.seed)
    given = with_holes(frame, hidden)
    started = time.perf_counter()
    filled, facts = fill_by_made(given, frame, hidden, arguments.budget, arguments.seed)
    facts["seconds"] = time.perf_counter() - started
    errors = {"made": scores_of(filled, frame, hidden)}
    seconds = {"made": facts["seconds"]}
    for peer, imputer in IMPUTERS.items():
        started = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            filled = imputer(given, numeric_columns(frame), arguments.seed)
        seconds[peer] = time.perf_counter() - started
        errors[peer] = scores_of(filled, frame, hidden)
    numeric = numeric_columns(frame)
    columns = {}
    for column, ours in errors["made"].items():
        line: dict[str, Any] = {"numeric": column in numeric, "n": len(ours)}
        line["means"] = {method: float(of[column].mean()) for method, of in errors.items()}
        best = min((m for m in errors if m != "made"), key=lambda m: line["means"][m])
        difference = ours - errors[best][column]
        spread = difference.std(ddof=1) if len(difference) > 1 else 0.0
        line["best_peer"] = best
        line["difference"] = float(difference.mean())
        line["standard_error"] = float(spread / len(ours) ** 0.5)
        columns[column] = line
    return {"rows": len(frame), "seed": arguments.seed, "budget": arguments.budget,
            "made": facts, "seconds": seconds, "columns": columns}  # fmt: skip


def show(arguments: Any) -> list[Result]:
    """Print a line a table and kind of holes, and return the figures."""
    results, lines = [], []
    methods = ["made", *IMPUTERS]
    for name in TABLES:
        for holes in HOLES:
            place = arguments.out / f"{name}-{holes.replace('%', '').replace(' ', '-')}.json"
            if not place.exists():
                continue
            content = json.loads(place.read_text())
            columns = list(content["columns"].values())
            tied = sum(one["difference"] <= 2 * one["standard_error"] for one in columns)
            ahead = sum(one["difference"] < -2 * one["standard_error"] for one in columns)
            cells = [f"{_error(columns, method, False)} / {_error(columns, method, True)}"
                     for method in methods]  # fmt: skip
            made = content["made"]
            covered = f"{made['coverage']:.3f} ({made['uniform_within']:.3f})"
            best = f"{tied} of {len(columns)}, {ahead} ahead"
            lines.append([name, holes, *cells, best, covered, f"{made['log_prob']:.3f}"])
            what, off = f"{name}, {holes} hidden", abs(made["uniform_within"] - 0.9)
            share = tied / len(columns)
            results += [
                Result(f"{what}: columns best or tied", share, "share", 0.5, "higher"),
                Result(f"{what}: 90% intervals cover, distance", off, "share", 0.02),
                Result(f"{what}: log p of a hidden cell", made["log_prob"], "nats", None, "higher"),
            ]
    place = arguments.out / "large.json"
    if place.exists():
        content = json.loads(place.read_text())
        what = f"impute {content['rows']} rows, {content['patterns']} patterns of holes"
        results.append(Result(what, content["seconds"] / 60, "minutes", 10.0))
    header = [
        "table",
        "hidden",
        *methods,
        "made best or tied",
        "90% covers (randomised)",
        "log p a cell",
    ]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for line in lines:
        print("| " + " | ".join(line) + " |")
    return results


def _error(columns: list[dict[str, Any]], method: str, numeric: bool) -> str:
    """Return the mean accuracy of categories, or the mean relative RMSE of numbers."""
    found = [one["means"][method] for one in columns if one["numeric"] == numeric]
    if not found:
        return "-"
    if numeric:
        return f"{np.mean(np.sqrt(found)):.3f}"
    return f"{1 - np.mean(found):.3f}"


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("what", choices=["run", "large", "show"])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--out", type=Path, default=Path("benchmarks/results/imputation"))
    arguments.add_argument("--budget", type=float, default=90.0, help="seconds of a fit")
    arguments.add_argument("--sets", nargs="*", choices=TABLES)
    arguments.add_argument("--holes", nargs="*", choices=HOLES)
    chosen = arguments.parse_args()
    if chosen.what != "show":
        {"run": run, "large": large}[chosen.what](chosen)
    else:
        report(show(chosen), chosen, ["made", "torch", "scikit-learn", "pandas"])


if __name__ == "__main__":
    main()
