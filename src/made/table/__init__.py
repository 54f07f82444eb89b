"""Tables: schema, data frames, readers and writers."""

from made.table.frames import (
    Table,
    as_table,
    binary_values,
    constant_columns,
    infer_schema,
    named_columns,
    to_container,
    without_column,
)
from made.table.readers import npz_splits, read_table
from made.table.schema import Schema
from made.table.writers import check_output, write_chunks, write_columns

__all__ = [
    "Schema",
    "Table",
    "as_table",
    "binary_values",
    "check_output",
    "constant_columns",
    "infer_schema",
    "named_columns",
    "npz_splits",
    "read_table",
    "to_container",
    "without_column",
    "write_chunks",
    "write_columns",
]
