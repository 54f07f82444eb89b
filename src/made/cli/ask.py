"""``made query``, ``made impute`` and ``made explain``: parse, call the density, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from made.cli.running import (
    AsJson,
    DataPath,
    Debug,
    EnsembleOption,
    Given,
    IdColumn,
    ModelPath,
    Na,
    NoHeader,
    Seed,
    Split,
    Threads,
    UnseenOption,
    check_spared,
    plain_cell,
    print_facts,
    print_json,
    print_table,
    reports_errors,
    say,
    using_threads,
)
from made.errors import OptionError

if TYPE_CHECKING:
    from made.queries.conditional import Conditional
    from made.table.frames import Table

_EXPLAINED = ("column", "value", "log_prob", "likeliest", "likeliest_log_prob")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
# Levels that are printed; --json has them all.
_SHOWN_LEVELS = 20


@reports_errors
def query(
    model: ModelPath,
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT",
            help="\"age < 30 and income == '>50K'\"; or a column, for its distribution.",
            show_default=False,
        ),
    ],
    given: Given = None,
    rows: Annotated[
        int | None, typer.Option(help="Also say in how many of so many rows it is expected.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Draws end at a standard error of this share of the value.")
    ] = 0.02,
    max_draws: Annotated[int, typer.Option(help="Or when there are so many.")] = 2**14,
    orderings: Annotated[
        int | None, typer.Option(help="Members that are asked (all).", show_default=False)
    ] = None,
    ensemble: EnsembleOption = None,
    method: Annotated[
        str,
        typer.Option(help="orderings (evidence first), particles, or auto: what was better."),
    ] = "auto",
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say how probable EVENT is, or how a column is distributed, given evidence.

    Comparisons, ranges (20 <= age < 30), in [...], is missing, not, and, or; names that are no
    words stand in backticks. Exact where the columns have few cells, else an estimate with its
    standard error.
    """
    del debug
    from made.density import load

    density = load(model)
    name = event.strip().removeprefix("`").removesuffix("`")
    with using_threads(threads):
        if name in density.columns:
            if rows is not None or orderings is not None:
                raise OptionError(
                    "--rows and --orderings are for events; a column's distribution has no use for "
                    "them."
                )
            found = density.conditional(
                name, given, n_draws=max_draws, seed=seed, ensemble=ensemble, method=method
            )
            _show_conditional(name, given, found, as_json)
            return
        answer = density.probability(
            event, given, tolerance=tolerance, max_draws=max_draws, seed=seed,
            orderings=orderings, ensemble=ensemble, method=method,
        )  # fmt: skip
    if rows is not None and rows < 0:
        raise OptionError(f"--rows must be at least 0; got {rows}.")
    expected = None if rows is None else answer.times(rows)
    if as_json:
        print_json(
            {
                "model": str(model),
                "event": event,
                "given": given,
                "probability": answer.value,
                "standard_error": answer.standard_error,
                "exact": answer.exact,
                "method": answer.method,
                "n_draws": answer.n_draws,
                "effective_sample_size": answer.effective_sample_size,
                "expected_rows": None if expected is None else expected.value,
            }
        )
        return
    facts = [("probability", _with_error(answer.value, answer.standard_error, answer.exact))]
    if expected is not None:
        facts.append(
            ("expected", f"{_with_error(expected.value, expected.standard_error, answer.exact)} "
             f"of {rows} rows")
        )  # fmt: skip
    print_facts([*facts, ("how", _how(answer.exact, answer.method, answer.n_draws))])


@reports_errors
def impute(
    model: ModelPath,
    data: DataPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .csv, .parquet, .npy.")],
    draws: Annotated[
        int,
        typer.Option(help="Draw the holes so many times, instead of filling in the likeliest."),
    ] = 0,
    numbers: Annotated[str, typer.Option(help="Fill numbers by mean, median or mode.")] = "mean",
    interval: Annotated[
        float | None,
        typer.Option(help="Add columns NAME_low and NAME_high that hold with this probability."),
    ] = None,
    ensemble: EnsembleOption = None,
    unseen: UnseenOption = "error",
    na: Na = None,
    split: Split = None,
    no_header: NoHeader = False,
    id_column: IdColumn = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Fill the missing cells of DATA, each from its distribution given the cells that are there.

    Cells that are there come back as they were. With --draws, a column "draw" numbers the tables.
    """
    del debug
    from made.progress import terminal_progress
    from made.table import check_output, read_table, without_column, write_columns

    check_output(out)
    check_spared(out, model, data)
    from made.density import load

    density = load(model)
    table = read_table(data, split=split, header=not no_header, na=na or ())
    columns: dict[str, Any] = {}
    if id_column is not None:
        table, columns[id_column] = without_column(table, id_column)
    n_holes = _count_holes(table, density)
    with using_threads(threads), terminal_progress("imputing") as bar:
        found = density.impute(
            table, draws=draws, numbers=numbers, interval=interval, seed=seed, unseen=unseen,
            ensemble=ensemble, progress=bar,
        )  # fmt: skip
    write_columns(out, _columns_of(found, columns, table.column_names))
    if not n_holes:
        say("Note: no cell is missing; the table is written as it was.")
    if as_json:
        print_json(
            {"model": str(model), "n_rows": table.n_rows, "n_filled": n_holes, "draws": draws,
             "out": str(out)}
        )  # fmt: skip
        return
    print_facts([("rows", str(table.n_rows)), ("holes", f"{n_holes:,}"), ("written", str(out))])


@reports_errors
def explain(
    model: ModelPath,
    data: DataPath,
    row: Annotated[int, typer.Option(help="The number of the row, from 0.")],
    ensemble: EnsembleOption = None,
    unseen: UnseenOption = "error",
    na: Na = None,
    split: Split = None,
    no_header: NoHeader = False,
    id_column: IdColumn = None,
    seed: Seed = 0,
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say how likely each cell of a row is given all the others, the oddest first.

    Nothing is drawn; --seed is accepted because every command takes it.
    """
    del debug, seed
    from made.density import load
    from made.table import read_table, row_of, without_column

    density = load(model)
    table = read_table(data, split=split, header=not no_header, na=na or ())
    if id_column is not None:
        table, _ = without_column(table, id_column)
    with using_threads(threads):
        cells = density.explain(row_of(table, row), unseen=unseen, ensemble=ensemble)
    if as_json:
        lines = [
            {name: plain_cell(getattr(cell, name)) for name in _EXPLAINED}
            for cell in cells
        ]  # fmt: skip
        print_json({"model": str(model), "row": row, "cells": lines})
        return
    print_table(
        ["column", "value", "likeliest", "log p", "of likeliest", "surprise"],
        [
            [cell.column, _text(cell.value), _text(cell.likeliest), f"{cell.log_prob:.3f}",
             f"{cell.likeliest_log_prob:.3f}", f"{cell.surprise:.3f}"]
            for cell in cells
        ],
        to_the_left=3,
    )  # fmt: skip


def _show_conditional(name: str, given: str | None, found: Conditional, as_json: bool) -> None:
    content: dict[str, Any] = {"column": name, "given": given, "exact": found.exact,
                               "method": found.method, "missing": found.missing}  # fmt: skip
    is_number = found.column.kind in ("integer", "continuous", "datetime")
    if is_number:
        content["mean"] = plain_cell(found.mean)
        content["quantiles"] = {
            str(level): plain_cell(found.quantile(level)) for level in _QUANTILES
        }
    else:
        content["probabilities"] = {_text(level): p for level, p in found.probabilities.items()}
    if as_json:
        print_json(content)
        return
    if is_number:
        facts = [("mean", _text(content["mean"]))]
        facts += [(f"{float(level):.0%}", _text(q)) for level, q in content["quantiles"].items()]
    else:
        listed = sorted(content["probabilities"].items(), key=lambda pair: -pair[1])
        facts = [(level, f"{p:.4f}") for level, p in listed[:_SHOWN_LEVELS]]
        if len(listed) > _SHOWN_LEVELS:
            facts.append(("...", f"{len(listed) - _SHOWN_LEVELS} more levels"))
    if found.missing:
        facts.append(("(missing)", f"{found.missing:.4f}"))
    print_facts(facts)
    n_draws = None if found.effective_sample_size is None else round(found.effective_sample_size)
    say(_how(found.exact, found.method, n_draws or 0))


def _how(exact: bool, method: str, n_draws: int) -> str:
    way = (
        "the columns of the question first in all orderings"
        if method == "orderings"
        else "draws under the orderings of training, weighed by the evidence"
    )
    return f"exact; {way}" if exact else f"estimate from {n_draws:,} draws; {way}"


def _with_error(value: float, error: float, exact: bool) -> str:
    return f"{value:.6g}" if exact else f"{value:.6g} +- {error:.2g}"


def _count_holes(table: Table, density: Any) -> int:
    places = density.schema.places_in(table.names, table.n_columns)
    table = table.with_na(density.schema.na)
    return sum(int(table.cells(place).missing.sum()) for place in places)


def _columns_of(found: Any, columns: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return what `Density.impute` gave as named columns of a file."""
    import numpy as np

    if isinstance(found, list):
        parts = [_columns_of(one, columns, names) for one in found]
        _check_free(["draw"], parts[0])
        numbers = np.repeat(np.arange(1, len(parts) + 1), len(next(iter(parts[0].values()))))
        return {"draw": numbers} | {name: _joined([part[name] for part in parts])
                                    for name in parts[0]}  # fmt: skip
    if hasattr(found, "filled"):
        limits = {}
        for ending, frame in (("low", found.low), ("high", found.high)):
            own = _columns_of(frame, {}, names)
            limits |= {(name, ending): own[name] for name in own}
        filled = _columns_of(found.filled, columns, names)
        # Beside each other: the low limit of a column, then its high one.
        order = sorted(limits, key=lambda key: (names.index(key[0]), key[1] == "high"))
        _check_free(["_".join(key) for key in order], filled)
        return filled | {"_".join(key): limits[key] for key in order}
    if isinstance(found, np.ndarray):
        return columns | {name: found[:, d] for d, name in enumerate(names)}
    return columns | {name: found.column(name) for name in found.column_names}


def _check_free(added: list[str], columns: dict[str, Any]) -> None:
    for name in added:
        if name in columns:
            raise OptionError(
                f"The data has a column {name!r}, which is what the result would add. Rename it."
            )


def _joined(parts: list[Any]) -> Any:
    import numpy as np
    import pyarrow

    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    return pyarrow.chunked_array([chunk for part in parts for chunk in part.chunks])


def _text(cell: Any) -> str:
    cell = plain_cell(cell)
    if cell is None:
        return "(missing)"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
