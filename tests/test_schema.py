"""The schema of a model file: whatever its JSON, it reads back or is refused with a DataError."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made.errors import DataError
from made.table import Schema
from tables import schema_of

TABLE = pa.table(
    {
        "name": [f"person {i}" for i in range(30)],
        "flag": [i % 2 == 0 for i in range(30)],
        "grade": ["A", "B", None] * 10,
        "age": [i % 7 for i in range(30)],
        "price": [i / 4 for i in range(30)],
        "day": [f"2020-01-{i % 28 + 1:02d}" for i in range(30)],
    }
)
SCHEMA = schema_of(TABLE, na=["?"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def content() -> dict[str, Any]:
    return copy.deepcopy(SCHEMA.to_json())


def places_in(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to every part of a JSON value."""
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    inner = [
        place
        for key, part in parts
        for place in ([(*path, key), *places_in(part, (*path, key))]
                      if isinstance(part, (dict, list)) else [(*path, key)])
    ]  # fmt: skip
    return inner


# Of long lists, the first parts stand for all.
LATER = set(range(3, 99))
PLACES = [place for place in places_in(content()) if len(place) < 5 and not LATER & set(place[-1:])]


def test_a_schema_reads_back() -> None:
    again = Schema.from_json(json.loads(json.dumps(SCHEMA.to_json())))
    assert again == SCHEMA
    assert again.left_out == ((0, "name"),)
    assert again.na == ("?",)


def test_what_a_schema_knows() -> None:
    assert SCHEMA.names == ["flag", "grade", "age", "price", "day"]
    assert SCHEMA.n_columns == 5
    assert not SCHEMA.is_binary
    bits = schema_of([[0, 1], [1, 0]])
    assert bits.is_bits
    assert not schema_of(pa.table({"a": ["x", "y"]})).is_bits
    assert schema_of(pa.table({"a": ["x", "y"]})).is_binary


@settings(deadline=None)
@given(JSON)
def test_any_json_is_refused(node: Any) -> None:
    with pytest.raises(DataError):
        Schema.from_json(node)


@settings(deadline=None)
@given(st.data())
def test_a_part_that_is_replaced(data: st.DataObject) -> None:
    place = list(data.draw(st.sampled_from(PLACES)))
    way, last = place[:-1], place[-1]
    replaced: Any = content()
    node = replaced
    for key in way:
        node = node[key]
    if data.draw(st.booleans()) and isinstance(node, dict):
        del node[last]
    else:
        node[last] = data.draw(JSON)
    try:
        schema = Schema.from_json(replaced)
    except DataError:
        return
    assert Schema.from_json(schema.to_json()) == schema


DAMAGE: list[tuple[tuple[Any, ...], Any, str]] = [
    (("columns",), [], "needs a list of at least one column"),
    (("columns",), {}, "needs a list of at least one column"),
    (("columns", 0), None, "Expected a description of a column"),
    (("columns", 0, "name"), "age", r"'age' occurs twice \(again at position 2\)"),
    (("columns", 0, "name"), "name", "'name' occurs twice"),
    (("named",), 1, "'named' must be true or false; got 1"),
    (("container",), "modin", "Unknown container 'modin'"),
    (("container",), ["numpy"], "Unknown container"),
    (("container",), {}, "Unknown container"),
    (("left_out",), {}, "'left_out' must list places and names"),
    (("left_out", 0), [0], "'left_out' must list places and names"),
    (("left_out", 0), [True, "a"], "'left_out' must list places and names"),
    (("left_out", 0), [-1, "a"], "'left_out' must list places and names"),
    (("left_out", 0), [6, "a"], "within the table"),
    (("left_out", 0), [10**400, "a"], "within the table"),
    (("left_out",), [[0, "a"], [0, "b"]], "must be different"),
    (("left_out", 0), [0, "\ud800"], "no valid text"),
    (("na",), "?", "'na' must list texts"),
    (("na",), [3], "must be text"),
    (("na",), ["\ud800"], "no valid text"),
]


@pytest.mark.parametrize(("place", "value", "expected"), DAMAGE)
def test_damage_is_named(place: Sequence[Any], value: Any, expected: str) -> None:
    damaged: Any = content()
    node = damaged
    way, last = place[:-1], place[-1]
    for key in way:
        node = node[key]
    node[last] = value
    with pytest.raises(DataError, match=expected):
        Schema.from_json(damaged)


def test_fields_that_are_missing_or_added() -> None:
    for damaged in ({**content(), "more": 1}, {"columns": content()["columns"]}, [], None, 3):
        with pytest.raises(DataError, match="A schema has columns, container, left_out, na, named"):
            Schema.from_json(damaged)
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    with pytest.raises(DataError, match="Unknown container"):
        Schema.from_json({**content(), "container": deep})


def test_columns_that_were_left_out_may_be_there() -> None:
    assert SCHEMA.places_in(TABLE.column_names, 6) == [1, 2, 3, 4, 5]
    assert SCHEMA.places_in(TABLE.column_names[1:], 5) == [0, 1, 2, 3, 4]
    assert SCHEMA.places_in(None, 6) == [1, 2, 3, 4, 5]
    assert SCHEMA.places_in(None, 5) == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="model has 5 columns and the data has 7"):
        SCHEMA.places_in(None, 7)
