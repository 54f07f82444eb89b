"""``made schema``: what each column of a table is taken to be, to be read and edited."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from made.cli.running import (
    AsJson,
    DataPath,
    Debug,
    Keep,
    Kinds,
    Na,
    NoHeader,
    SchemaFile,
    Seed,
    Split,
    check_spared,
    print_facts,
    print_json,
    print_table,
    reports_errors,
    said_of_columns,
)

if TYPE_CHECKING:
    from made.table import Declaration
    from made.table.cells import Cells

_SHOWN_LEVELS, _SHOWN_LENGTH = 3, 44


@reports_errors
def schema(
    data: DataPath,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="Write it as JSON, to edit and give to made fit --schema."
        ),
    ] = None,
    schema: SchemaFile = None,
    kind: Kinds = None,
    na: Na = None,
    keep: Keep = None,
    split: Split = None,
    no_header: NoHeader = False,
    seed: Seed = 0,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Say what each column of DATA would be modelled as, and why.

    Nothing is drawn; --seed is accepted because every command takes it.
    """
    del seed, debug
    from made.storage import check_writable, write_bytes
    from made.table import LEFT_OUT, infer, npz_splits, read_table

    if out is not None:
        check_writable(out)
        check_spared(out, data)
    if split is None and "train" in npz_splits(data):
        split = "train"
    table = read_table(data, split=split, header=not no_header, na=na or ())
    declared = infer(table, said_of_columns(schema, kind), keep or ())
    content = {"columns": [column.to_json() for column in declared]}
    if out is not None:
        write_bytes(out, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    if as_json:
        print_json(content | {"n_rows": table.n_rows, "out": None if out is None else str(out)})
        return
    rows = [_line(column, table.cells(d)) for d, column in enumerate(declared)]
    print_table(["column", "kind", "missing", "values", "note"], rows, to_the_left=5)
    n_left_out = sum(column.kind == LEFT_OUT for column in declared)
    print()
    facts = [("rows", f"{table.n_rows:,}"), ("columns", str(len(declared) - n_left_out))]
    if n_left_out:
        facts.append(("left out", f"{n_left_out}; keep one with --keep"))
    if out is not None:
        facts.append(("written", str(out)))
    print_facts(facts)


def _line(column: Declaration, cells: Cells) -> list[str]:
    share = float(cells.missing.mean())
    missing = "" if not share else f"{share:.1%}" if share >= 0.001 else "<0.1%"
    text = _values_text(column, cells)
    if len(text) > _SHOWN_LENGTH:
        text = text[: _SHOWN_LENGTH - 3] + "..."
    return [_on_a_line(column.name) or '""', column.kind, missing, text, column.note]


def _values_text(column: Declaration, cells: Cells) -> str:
    """Return what values there are, in a few words."""
    import numpy as np

    from made.table.conversions import number_values, time_values

    if cells.missing.all():
        return ""
    if column.levels:
        names = [_on_a_line(str(level)) for level in column.levels[:_SHOWN_LEVELS]]
        more = ", ..." if len(column.levels) > _SHOWN_LEVELS else ""
        return f"{len(column.levels)}: {', '.join(names)}{more}"
    if column.kind == "datetime":
        times = time_values(column.name, cells, column.format)
        seen = times[~np.isnat(times)].astype(f"datetime64[{column.unit}]")
        return f"{seen.min()} to {seen.max()}".replace("T", " ")
    if column.kind in ("integer", "continuous"):
        numbers = number_values(column.name, cells)
        return f"{np.nanmin(numbers):.7g} to {np.nanmax(numbers):.7g}"
    present = np.flatnonzero(~cells.missing)
    n_different = len(np.unique(cells.values[present]))
    return f"{n_different} different, like {_on_a_line(str(cells.cell(int(present[0]))))}"


def _on_a_line(text: str) -> str:
    return " ".join(text.split())
