"""How many rows meet a condition? q-errors of random conjunctions, beside DuckDB and independence.

    python benchmarks/queries.py fit --cache DIR --budget 480      # one model a table
    python benchmarks/queries.py ask --cache DIR                   # 500 questions a table
    python benchmarks/queries.py evidence --cache DIR              # draws with and without it
    python benchmarks/queries.py coverage --cache DIR              # intervals of estimates
    python benchmarks/queries.py show --json benchmarks/results/queries.json

Each question has 2 to 6 conditions, anchored on a random row: `==` for texts and for columns of
fewer than 10 values, else `<=` or `>=`. The q-error is max(estimate / truth, truth / estimate),
both at least 1. Models are fitted on all rows, as the statistics of a database are.
"""

from __future__ import annotations

import json
import re
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import pandas as pd

from harness import Result, in_turn, median_ratio, parser, report
from tables_data import read_table

TABLES = ("vehicle_thefts", "adult_census_train", "covertype_subset")
BANDS = ((1, 50), (50, 1000), (1000, None))
_N_QUESTIONS = 500
_FEW_VALUES = 10
# Seeds with which a question is asked for the coverage of its intervals.
_REPEATS = 40


class Condition(NamedTuple):
    """One condition of a question, as `made` and SQL write it, and where it holds."""

    made: str
    sql: str
    holds: np.ndarray


def with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its dates as times, which have an order."""
    dates = {name: pd.to_datetime(frame[name]) for name in frame if name.startswith("date_")}
    return frame.assign(**dates)


def questions(frame: pd.DataFrame, n: int, seed: int) -> list[list[Condition]]:
    """Return random conjunctions; each holds in one row at least."""
    random = np.random.default_rng(seed)
    names, different = list(frame.columns), frame.nunique()
    found = []
    while len(found) < n:
        size = min(int(random.integers(2, 7)), len(names))
        row = frame.iloc[int(random.integers(len(frame)))]
        chosen = random.choice(names, size, replace=False).tolist()
        found.append([_condition(frame[name], row[name], different[name], random)
                      for name in chosen])  # fmt: skip
    return found


def _condition(
    column: pd.Series, value: Any, n_different: int, random: np.random.Generator
) -> Condition:
    name = column.name
    if pd.isna(value):
        return Condition(f"`{name}` is missing", f'"{name}" IS NULL', column.isna().to_numpy())
    is_time = isinstance(value, pd.Timestamp)
    ordered = is_time or pd.api.types.is_numeric_dtype(column)
    sign = "==" if n_different < _FEW_VALUES or not ordered else str(random.choice(["<=", ">="]))
    compared = {"==": column == value, "<=": column <= value, ">=": column >= value}[sign]
    if ordered and not is_time:
        literal = repr(float(value)) if not float(value).is_integer() else str(int(value))
    else:
        literal = "'" + str(value).replace("'", "''") + "'"
    sql = f'"{name}" {"=" if sign == "==" else sign} {literal}'
    return Condition(f"`{name}` {sign} {literal}", sql, compared.fillna(False).to_numpy(bool))


def fit(arguments: Any) -> None:
    import made

    for name in arguments.sets or TABLES:
        place = arguments.cache / f"{name}.made"
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        frame = read_table(arguments.data, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            density = made.fit(
                frame, frame.sample(frac=0.1, random_state=arguments.seed), questions=True,
                max_time=arguments.budget, threads=arguments.threads, seed=arguments.seed,
                progress=False,
            )  # fmt: skip
        density.save(place)
        print(name, density, flush=True)


def ask(arguments: Any) -> None:
    import torch

    import made

    torch.set_num_threads(arguments.threads)
    for name in arguments.sets or TABLES:
        density = made.load(arguments.cache / f"{name}.made")
        frame = with_times(read_table(arguments.data, name)[density.columns])
        lines = []
        estimate = duckdb_estimates(frame)
        for number, conditions in enumerate(questions(frame, _N_QUESTIONS, arguments.seed)):
            truth = int(np.logical_and.reduce([one.holds for one in conditions]).sum())
            text = " and ".join(one.made for one in conditions)
            started = time.perf_counter()
            answer = density.count(
                text, rows=len(frame), orderings=arguments.orderings, tolerance=0.1,
                max_draws=arguments.max_draws, seed=arguments.seed,
            )  # fmt: skip
            seconds = time.perf_counter() - started
            shares = [one.holds.mean() for one in conditions]
            lines.append({
                "truth": truth, "seconds": seconds, "exact": answer.exact, "made": answer.value,
                "standard_error": answer.standard_error, "n_conditions": len(conditions),
                "independence": float(np.prod(shares) * len(frame)),
                "DuckDB": estimate(" AND ".join(one.sql for one in conditions)),
            })  # fmt: skip
            if number % 100 == 99:
                print(name, number + 1, flush=True)
        content = {"table": name, "rows": len(frame), "seed": arguments.seed,
                   "orderings": arguments.orderings, "max_draws": arguments.max_draws,
                   "seconds_of_fit": density.record.seconds, "questions": lines}  # fmt: skip
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / f"{name}.json").write_text(json.dumps(content))


def evidence(arguments: Any) -> None:
    """Time draws given values of some columns, in turn with draws of whole rows."""
    import torch

    import made

    torch.set_num_threads(arguments.threads)
    name, n_rows = "adult_census_train", 10_000
    place = arguments.cache / f"{name}.made"
    known = {"education": "Bachelors", "age": 40, "sex": "Female"}
    made.load(place).sample(100)

    # Each time from a model that has prepared nothing, since other evidence is another ordering.
    def draw(given: dict[str, Any] | None) -> None:
        made.load(place).sample(n_rows, given=given)

    seconds = in_turn({"whole": lambda: draw(None), "given": lambda: draw(known)}, rounds=7)
    content = {
        "table": name, "rows": n_rows, "given": known, "seconds": seconds,
        "ratio": median_ratio(seconds["given"], seconds["whole"]),
    }  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "evidence.json").write_text(json.dumps(content))


def coverage(arguments: Any) -> None:
    """Ask what has an exact answer once more by draws: how often does the interval hold it?"""
    import torch

    import made
    from made.queries import probability

    torch.set_num_threads(arguments.threads)
    name = "adult_census_train"
    density = made.load(arguments.cache / f"{name}.made")
    frame = with_times(read_table(arguments.data, name)[density.columns])
    lines = []
    for number, conditions in enumerate(questions(frame, _N_QUESTIONS, arguments.seed)):
        text = " and ".join(one.made for one in conditions)
        exact = density.probability(text, orderings=arguments.orderings)
        if not exact.exact:
            continue
        for repeat in range(_REPEATS):
            with mock.patch.object(probability, "_MOST_ENUMERATED", 0):
                drawn = density.probability(
                    text, orderings=arguments.orderings, tolerance=0.1,
                    seed=_REPEATS * number + repeat, max_draws=arguments.max_draws,
                )  # fmt: skip
            if drawn.standard_error <= 1e-3 * exact.value:
                # Next to nothing is left to chance here, and an interval is no test.
                break
            covered = abs(drawn.value - exact.value) <= 1.96 * drawn.standard_error
            lines.append({"exact": exact.value, "drawn": drawn.value,
                          "standard_error": drawn.standard_error, "covered": covered})  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "coverage.json").write_text(json.dumps({"table": name, "asked": lines}))


def duckdb_estimates(frame: pd.DataFrame) -> Any:
    """Return a function of a condition in SQL -> the rows that DuckDB's planner expects."""
    import duckdb

    base = duckdb.connect()
    base.register("frame", frame)
    base.execute("CREATE TABLE rows AS SELECT * FROM frame")
    base.execute("ANALYZE rows")

    def estimate(condition: str) -> float:
        plan = base.execute(f"EXPLAIN SELECT * FROM rows WHERE {condition}").fetchall()[0][1]
        found = re.findall(r"~\s*([\d,]+)\s*rows?", plan)
        return float(found[0].replace(",", "")) if found else float("nan")

    return estimate


def q_errors(estimates: np.ndarray, truths: np.ndarray) -> np.ndarray:
    # A database counts no less than one row.
    estimates, truths = np.maximum(estimates, 1), np.maximum(truths, 1)
    return np.maximum(estimates / truths, truths / estimates)


def show(arguments: Any) -> list[Result]:
    results = []
    header = ["table", "rows that are met", "questions", "method", "median", "95%", "99%", "most"]
    print("| " + " | ".join(header) + " |\n|" + " --- |" * len(header))
    for name in TABLES:
        place = arguments.out / f"{name}.json"
        if not place.exists():
            continue
        content = json.loads(place.read_text())
        lines = pd.DataFrame(content["questions"])
        truths = lines["truth"].to_numpy()
        for low, high in BANDS:
            inside = (truths >= low) & (truths < (high or np.inf))
            if not inside.any():
                continue
            band = f"{low} to {high - 1}" if high else f"{low} or more"
            for method in ("made", "DuckDB", "independence"):
                errors = q_errors(lines[method].to_numpy()[inside], truths[inside])
                marks = np.percentile(errors, [50, 95, 99, 100])
                cells = [name, band, str(inside.sum()), method, *(f"{m:.2f}" for m in marks)]
                print("| " + " | ".join(cells) + " |")
        errors = q_errors(lines["made"].to_numpy(), truths)
        many, seconds = truths >= 50, 1000 * lines["seconds"]
        results += [
            Result(f"{name}: 99th percentile of q-errors, 50 rows or more",
                   float(np.percentile(errors[many], 99)), "times", 5.0),
            Result(f"{name}: 99th percentile of q-errors, all",
                   float(np.percentile(errors, 99)), "times"),
            Result(f"{name}: largest q-error", float(errors.max()), "times"),
            Result(f"{name}: median time of a question", float(seconds.median()), "ms", 10.0),
            Result(f"{name}: 95th percentile of times", float(np.percentile(seconds, 95)), "ms"),
            Result(f"{name}: answered exactly", float(lines["exact"].mean()), "share", None,
                   "higher"),
        ]  # fmt: skip
    place = arguments.out / "coverage.json"
    if place.exists():
        asked = pd.DataFrame(json.loads(place.read_text())["asked"])
        what = f"95% intervals of {len(asked)} estimates hold the exact answer"
        results.append(Result(what, float(asked["covered"].mean()), "share", 0.93, "higher"))
    place = arguments.out / "evidence.json"
    if place.exists():
        content = json.loads(place.read_text())
        what = f"draw {content['rows']} rows of {content['table']}"
        given = f"given {len(content['given'])} columns / none"
        results.append(Result(f"{what}, {given}", content["ratio"], "ratio", 1.0))
    return results


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("what", choices=["fit", "ask", "evidence", "coverage", "show"])
    arguments.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--cache", type=Path, default=Path(".cache-questions"))
    arguments.add_argument("--out", type=Path, default=Path("benchmarks/results/queries"))
    arguments.add_argument("--budget", type=float, default=480.0, help="seconds of a fit")
    arguments.add_argument("--orderings", type=int, default=4)
    arguments.add_argument("--max-draws", type=int, default=4096)
    arguments.add_argument("--sets", nargs="*", choices=TABLES)
    chosen = arguments.parse_args()
    if chosen.what == "show":
        report(show(chosen), chosen, ["made", "torch", "numpy", "pandas", "duckdb"])
    else:
        actions = {"fit": fit, "ask": ask, "evidence": evidence, "coverage": coverage}
        actions[chosen.what](chosen)


if __name__ == "__main__":
    main()
