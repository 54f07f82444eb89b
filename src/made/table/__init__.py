"""Tables: declarations, schema, data frames, readers and writers."""

from made.table.containers import frame_of, named_columns, to_container
from made.table.declarations import BY_SCHEMA, LEFT_OUT, Declaration, overrides_of
from made.table.filling import fill
from made.table.frames import Table, as_table, row_of, without_column
from made.table.inference import infer
from made.table.readers import npz_splits, read_table
from made.table.schema import Schema
from made.table.values import fit_schema, value_of, values_of, values_of_some
from made.table.writers import check_output, write_chunks, write_columns

__all__ = [
    "BY_SCHEMA",
    "LEFT_OUT",
    "Declaration",
    "Schema",
    "Table",
    "as_table",
    "check_output",
    "fill",
    "fit_schema",
    "frame_of",
    "infer",
    "named_columns",
    "npz_splits",
    "overrides_of",
    "read_table",
    "row_of",
    "to_container",
    "value_of",
    "values_of",
    "values_of_some",
    "without_column",
    "write_chunks",
    "write_columns",
]
