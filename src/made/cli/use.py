"""``made score`` and ``made sample``: parse, call the density, print."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from made.progress import Progress

from made.cli.running import (
    AsJson,
    DataPath,
    Debug,
    Device,
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
    reports_errors,
    say,
    using_threads,
)
from made.errors import OptionError


@reports_errors
def score(
    model: ModelPath,
    data: DataPath,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Write a log-probability a row: .csv, .parquet or .npy."),
    ] = None,
    cells: Annotated[
        Path | None,
        typer.Option(help="Write a term a cell: which one makes its row unlikely? .csv, .parquet."),
    ] = None,
    missing: Annotated[
        str,
        typer.Option(help='Missing cells: "model" scores them, "ignore" scores the others alone.'),
    ] = "model",
    unseen: UnseenOption = "error",
    na: Na = None,
    split: Split = None,
    no_header: NoHeader = False,
    id_column: IdColumn = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Score the rows of DATA: log p(x) in nats, in the units of the columns.

    Exact, or below power 1 a lower bound at the level of the model's certificate. Scoring
    draws nothing; --seed is accepted because every command takes it.
    """
    del seed, debug
    from made.progress import terminal_progress
    from made.table import check_output, read_table, without_column, write_columns

    for path in (out, cells):
        if path is not None:
            check_output(path)
            check_spared(path, model, data)
    if id_column == "log_prob":
        raise OptionError("--id log_prob is the name of the scores. Rename that column.")
    import numpy as np

    from made.combining import standard_error
    from made.density import load

    density = load(model).to(device)
    table = read_table(data, split=split, header=not no_header, na=na or ())
    columns = {}
    if id_column is not None:
        table, columns[id_column] = without_column(table, id_column)
    with using_threads(threads), terminal_progress("scoring") as bar:
        scores = density.log_prob(table, missing=missing, unseen=unseen, progress=bar)
        if cells is not None:
            terms = density.log_conditionals(table, unseen=unseen)
            # By name where there are names: the columns may stand in another order.
            named = (
                dict(zip(density.columns, terms.T, strict=True))
                if table.names is None
                else {name: np.asarray(terms[name]) for name in density.columns}
            )
            write_columns(cells, columns | named)
    if out is not None:
        write_columns(out, columns | {"log_prob": scores})
    if not len(scores):
        say("Note: the data has no rows; there is no mean.")
    possible = scores[np.isfinite(scores)]
    impossible = np.flatnonzero(~np.isfinite(scores))
    mean = float(possible.mean()) if len(possible) else None
    error = standard_error(possible) if len(possible) else None
    bits = None if mean is None else -mean / math.log(2) / density.schema.n_columns
    if as_json:
        print_json(
            {
                "model": str(model),
                "n_rows": len(scores),
                "n_impossible": len(impossible),
                "mean_log_prob": mean,
                "standard_error": error,
                "bits_per_column": bits,
                "exact": density.is_exact,
                "level": None if density.is_exact else density.certificate.level,
                "out": None if out is None else str(out),
                "cells": None if cells is None else str(cells),
            }
        )
        return
    facts = [("rows", str(len(scores)))]
    if len(impossible):
        facts.append(
            ("impossible", f"{len(impossible)} rows, the first is row {impossible[0]}: beyond the "
             "limits of a column, left out of the mean")
        )  # fmt: skip
    bound = "" if density.is_exact else f", at least (at {density.certificate.level:.0%})"
    if mean is not None:
        facts.append(("mean log p", f"{mean:.4f} +- {error:.4f} nats a row{bound}"))
        if density.schema.is_binary:
            facts.append(("bits per column", f"{bits:.4f}"))
    facts += [("written", str(path)) for path in (out, cells) if path is not None]
    print_facts(facts)


@reports_errors
def sample(
    model: ModelPath,
    n_rows: Annotated[int, typer.Option("-n", "--rows", help="Number of rows to draw.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write; without it, CSV on standard output."),
    ] = None,
    given: Given = None,
    ensemble: EnsembleOption = None,
    method: Annotated[
        str, typer.Option(help='"exact", or "annealed": approximate, where exact is too slow.')
    ] = "exact",
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Draw rows from the model, or given evidence.

    Row r of a seed is the same however many rows are drawn.
    """
    del debug
    from made.progress import terminal_progress
    from made.table import check_output, write_chunks

    if out is not None:
        check_output(out)
    from made.density import load

    density = load(model).to(device)
    with using_threads(threads), terminal_progress("sampling") as bar:
        drawn = density.sample_chunks(
            n_rows, given=given, seed=seed, method=method, ensemble=ensemble
        )
        chunks = _watched(drawn, n_rows, bar)
        if out is not None:
            write_chunks(out, chunks, n_rows)
        elif not as_json:
            _print_csv(chunks)
    exact = method == "exact"
    content = {
        "model": str(model), "n_rows": n_rows, "seed": seed, "exact": exact, "given": given
    }  # fmt: skip
    if density.combination != "mixture" and given is None and ensemble is None:
        share = f"{density.acceptance:.1%}"
        say(f"One candidate in {1 / density.acceptance:.1f} was kept ({share})." if exact
            else "These rows are approximate: the ends of annealed chains.")  # fmt: skip
    if as_json and out is not None:
        print_json(content | {"out": str(out)})
    elif as_json:
        columns: dict[str, list] = {}
        for chunk in chunks:
            for name, cells in chunk.items():
                columns.setdefault(name, []).extend(map(plain_cell, cells.to_pylist()))
        print_json(content | {"out": None, "columns": columns})
    elif out is not None:
        print_facts([("rows", str(n_rows)), ("written", str(out))])


def _watched(
    chunks: Iterator[dict[str, Any]], n_rows: int, bar: Progress
) -> Iterator[dict[str, Any]]:
    """Hand the chunks on and report how many rows there are so far."""
    done = 0
    bar.update(0, n_rows, "preparing (kernels are compiled once for a machine)")
    for chunk in chunks:
        done += len(next(iter(chunk.values())))
        bar.update(done, n_rows, f"{done:,} rows")
        yield chunk


def _print_csv(chunks: Iterator[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.csv

    for number, chunk in enumerate(chunks):
        options = pyarrow.csv.WriteOptions(include_header=number == 0)
        pyarrow.csv.write_csv(pyarrow.table(chunk), sys.stdout.buffer, options)
