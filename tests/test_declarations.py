"""What the user says of columns: files and mappings, options that cannot be, contradictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from made.errors import DataError, OptionError
from made.table import LEFT_OUT, Declaration, as_table, infer, overrides_of, to_container, values_of
from tables import declared, schema_of

TABLE = pa.table(
    {
        "age": [20, 30, None, 40],
        "price": [0.5, 1.5, 2.5, 0.0],
        "grade": ["A", "B", "C", "A"],
        "sex": ["f", "m", "m", "f"],
        "day": ["2020-01-31", "2020-02-01", "2020-02-02", "2020-02-03"],
        "count": [1, 2, 3, 9],
    }
)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"a": "integer"}, {"a": {"kind": "integer"}}),
        ({"a": {"low": None, "atoms": False}}, {"a": {"low": None, "atoms": False}}),
        ({3: LEFT_OUT}, {"3": {"kind": LEFT_OUT}}),
    ],
)
def test_what_may_be_said(schema: Any, expected: dict[str, Any]) -> None:
    assert overrides_of(schema) == expected


BAD: list[tuple[Any, str]] = [
    ([1], r"schema is a file, or a mapping .*; got list\."),
    ({"a": 3}, r"says 3 of column 'a'\. Give a kind \(binary, categorical, "),
    ({"a": "categoric"}, r"the kind 'categoric'\. Did you mean 'categorical'\? Kinds: binary, "),
    ({"a": {"kind": "float"}}, r"kind 'float'\. Kinds: binary, .*, datetime, left out\."),
    ({"a": {"kind": 3}}, "kind of column 'a' is 3; expected a text"),
    ({"a": {"lo": 0}}, r"option 'lo'\. Did you mean 'low'\? Options: kind, missing, levels, "),
    ({"a": {"low": "0"}}, "low of column 'a' is '0'; expected a number or null"),
    ({"a": {"low": True}}, "low of column 'a' is True; expected a number"),
    ({"a": {"low": float("nan")}}, "low of column 'a' is nan; expected a number"),
    ({"a": {"missing": 1}}, "missing of column 'a' is 1; expected true or false"),
    ({"a": {"levels": "ab"}}, "levels of column 'a' is 'ab'; expected a list of texts or of num"),
    ({"a": {"levels": ["a", 1]}}, "expected a list of texts or of numbers"),
    ({"a": {"levels": [None]}}, "expected a list of texts or of numbers"),
    ({"a": {"rare_below": -1}}, "rare_below of column 'a' is -1; expected a whole number from 0"),
    ({"a": {"rare_below": 2.5}}, "rare_below of column 'a' is 2.5"),
    ({"a": {"low": 3, "high": 2}}, "low is above high in column 'a': 3 > 2"),
    ({"a": {"kind": "categorical", "low": 3}}, "gives low for column 'a', which is categorical: it "
     "is for integer and continuous columns"),
    ({"a": {"kind": LEFT_OUT, "missing": True}}, "gives missing for column 'a', which is left out"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "expected"), BAD)
def test_what_cannot_be_said(schema: Any, expected: str) -> None:
    with pytest.raises(OptionError, match=expected):
        overrides_of(schema)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", r"is not JSON .*made schema DATA --out writes one to edit"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("9" * 5000, "is not JSON"),
        ("[]", r'has no list "columns"'),
        ('{"columns": {}}', r'has no list "columns"'),
        ('{"columns": [3]}', r'Column 0 of the schema .* has no "name"'),
        ('{"columns": [{"kind": "binary"}]}', r'Column 0 of the schema .* has no "name"'),
        ('{"columns": [{"name": "a"}, {"name": "a"}]}', "names column 'a' twice"),
        ('{"columns": [{"name": "a", "kind": "bin"}]}', r"kind 'bin'\. Did you mean 'binary'"),
        ("\ufeff", "is not JSON"),
    ],
)
def test_schema_files_that_are_none(tmp_path: Path, text: str, expected: str) -> None:
    place = tmp_path / "schema.json"
    place.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=expected):
        overrides_of(place)


def test_schema_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"Cannot read the schema .*nowhere\.json: No such file"):
        overrides_of(str(tmp_path / "nowhere.json"))
    (tmp_path / "latin.json").write_bytes('{"columns": "é"}'.encode("latin-1"))
    with pytest.raises(OptionError, match="is not JSON \\(not UTF-8 text\\)"):
        overrides_of(tmp_path / "latin.json")


CONTRADICTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"aeg": "integer"}, DataError, r"a column 'aeg' and the data has not\. Did you mean 'age'\?"),
    ({"age": {"missing": False}}, DataError, r"'age' cannot be missing, and it is at row 2\."),
    ({"age": {"low": 25}}, DataError, r"gives column 'age' low 25, and it is 20 at row 0\."),
    ({"age": {"high": 35}}, DataError, r"gives column 'age' high 35, and it is 40 at row 3\."),
    ({"age": {"high": -1}}, DataError, r"'age' has low 0 above high -1.*Give both\."),
    ({"price": "integer"}, DataError, r"'price' is declared integer and holds 0\.5 at row 0\."),
    ({"grade": "binary"}, DataError, r"'grade' is declared binary and has 3 values: 'A', 'B', "),
    ({"grade": {"kind": "binary", "levels": ["A", "B"]}}, DataError,
     r"'grade' has values that the schema does not list: 'C'\. Add them"),
    ({"grade": {"levels": ["A", "B"]}}, DataError, r"does not list: 'C'"),
    ({"grade": {"levels": ["A", "B", "C", "A"]}}, DataError, "a level twice"),
    ({"count": {"kind": "categorical", "levels": [1, 2, 3, 9, 1.0]}}, DataError, "a level twice"),
    ({"sex": {"levels": ["f", "m", "d"]}}, DataError, "which is binary, 3 levels"),
    ({"grade": "continuous"}, DataError, r"no number: 'A', 'B', 'C' \(first at row 0\)"),
    ({"grade": "datetime"}, DataError, r"its texts are no dates.*Give their \"format\""),
    ({"day": {"kind": "datetime", "format": "%d.%m.%Y"}}, DataError,
     r"no date of the form %d\.%m\.%Y: '2020-01-31'"),
    ({"day": {"format": "%Y"}}, DataError, r"no date of the form %Y: '2020-01-31'"),
    ({"age": "datetime"}, DataError, "holds numbers where times are expected"),
    ({"grade": {"low": 0}}, OptionError, "gives low for column 'grade', which is categorical"),
    ({"sex": {"rare_below": 3}}, OptionError, "gives rare_below for column 'sex', which is binary"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "error", "expected"), CONTRADICTIONS)
def test_what_the_data_contradicts(
    said: dict[str, Any], error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        declared(TABLE, {name: said.get(name, {}) for name in {*TABLE.column_names, *said}})


def test_columns_of_one_value_that_are_declared_binary() -> None:
    with pytest.raises(DataError, match=r"declared binary and has 1 value\(s\): 'x'\. Give both"):
        declared(pa.table({"a": ["x", "x"]}), {"a": "binary"})
    assert declared(pa.table({"a": [1, 1]}), {"a": "binary"})[0].levels == (0, 1)
    said = {"a": {"kind": "binary", "levels": ["x", "y"]}}
    assert declared(pa.table({"a": ["x", "x"]}), said)[0].levels == ("x", "y")


def test_what_the_user_says_goes() -> None:
    said = {
        "age": {"kind": "continuous", "low": None, "atoms": False},
        "grade": {"kind": "categorical", "levels": ["C", "B", "A", "Z"], "rare_below": 1},
        "sex": {"missing": True},
        "day": {"kind": "categorical"},
        "count": LEFT_OUT,
        "price": {"high": 10},
    }
    found = {column.name: column for column in declared(TABLE, said)}
    assert (found["age"].kind, found["age"].low, found["age"].atoms) == ("continuous", None, False)
    assert found["grade"].levels == ("C", "B", "A", "Z")
    assert found["grade"].rare_below == 1
    assert (found["sex"].kind, found["sex"].missing) == ("binary", True)
    assert len(found["day"].levels) == 4
    assert (found["count"].kind, found["count"].note) == (LEFT_OUT, "by the schema")
    assert (found["price"].low, found["price"].high) == (0.0, 10)
    schema = schema_of(TABLE, said)
    assert schema.names == ["age", "price", "grade", "sex", "day"]
    assert values_of(as_table(TABLE), schema)[:, 2].tolist() == [2, 1, 0, 2]


def test_levels_match_whatever_they_are_written_as() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [True, False, True]})
    said = {"a": {"kind": "categorical", "levels": ["3", "2.0", "1"]}, "b": {"levels": [1, 0]}}
    schema = schema_of(frame, said)
    assert values_of(as_table(frame), schema).tolist() == [[2, 0], [1, 1], [0, 0]]
    assert to_container(values_of(as_table(frame), schema), schema).equals(frame)
    assert declared(frame, {"a": {"kind": "categorical", "levels": ["3", "2", "1", "4"]}})[
        0
    ].levels == (3, 2, 1, 4)
    texts = pa.table({"a": ["1", "x", "x"]})
    assert declared(texts, {"a": {"levels": ["x", "1"]}})[0].levels == ("x", "1")
    with pytest.raises(DataError, match=r"the levels 'z', and its cells are numbers"):
        declared(frame, {"a": {"kind": "categorical", "levels": ["3", "2", "1", "z"]}})


def test_a_schema_file_reads_back(tmp_path: Path) -> None:
    found = declared(TABLE)
    place = tmp_path / "schema.json"
    place.write_text(json.dumps({"columns": [column.to_json() for column in found]}))
    again = infer(as_table(TABLE), overrides_of(place))
    assert [column.to_json() for column in again] == [column.to_json() for column in found]


def test_declarations_list_few_levels_only() -> None:
    many = Declaration("a", "categorical", levels=tuple(map(str, range(51))))
    assert "levels" not in many.to_json()
    assert "levels" in Declaration("a", "categorical", levels=("x",)).to_json()
