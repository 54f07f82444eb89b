"""Tables for tests: what is inferred and fitted of data, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from made.table import (
    Declaration,
    Schema,
    Table,
    as_table,
    fit_schema,
    infer,
    overrides_of,
    to_container,
    values_of,
)

# How to make a frame of named columns in each library.
FRAMES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "pandas": pd.DataFrame,
    "polars": lambda columns: pl.DataFrame(columns, strict=False),
    "pyarrow": pa.table,
}


def declared(
    data: Any, said: Any = None, *, na: Sequence[str] = (), keep: Sequence[str] = ()
) -> list[Declaration]:
    """Return what each column of the data is."""
    return infer(as_table(data).with_na(na), overrides_of(said), keep)


def declared_column(cells: Sequence[Any], said: Any = None, name: str = "a") -> Declaration:
    """Return what a column alone is; ``said`` is what the user says of it."""
    return declared(pa.table({name: pa.array(cells)}), None if said is None else {name: said})[0]


def schema_of(data: Any, said: Any = None, **options: Any) -> Schema:
    """Return the schema that is fitted to all rows of the data."""
    table = as_table(data)
    na = options.pop("na", ())
    table = table.with_na(na)
    found = infer(table, overrides_of(said), options.pop("keep", ()))
    return fit_schema(table, found, np.arange(table.n_rows))


def there_and_back(data: Any, said: Any = None, **options: Any) -> Any:
    """Return the frame that the values of a frame become."""
    schema = schema_of(data, said, **options)
    return to_container(values_of(as_table(data), schema), schema)


def listed(table: Table, d: int) -> list[Any]:
    """Return the cells of a column as they came."""
    return table.cells(d).as_it_came().tolist()
