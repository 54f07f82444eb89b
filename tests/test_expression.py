"""Texts of events: the grammar, errors that point at their place, and what columns make of them."""

from __future__ import annotations

import operator
import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from made.errors import QuestionError
from made.queries.events import boxes_of, columns_of, event_of, event_of_cells, holds
from made.queries.expression import (
    Comparison,
    IsMissing,
    Membership,
    Negation,
    Node,
    parse,
)
from made.table import as_table, values_of
from tables import schema_of

Row = dict[str, Any]
Test = Callable[[Row], bool]


def plain(node: Node) -> Any:
    """Return a tree without positions."""
    if isinstance(node, Comparison):
        return (node.column, node.operator, node.value)
    if isinstance(node, Membership):
        return (node.column, "in", node.values)
    if isinstance(node, IsMissing):
        return (node.column, "missing")
    if isinstance(node, Negation):
        return ("not", plain(node.part))
    return (node.word, *map(plain, node.parts))


GRAMMAR: dict[str, Any] = {
    "age < 30": ("age", "<", 30), "age<=30": ("age", "<=", 30), "age = 30": ("age", "==", 30),
    "age <> 30": ("age", "!=", 30), "30 > age": ("age", "<", 30), "30 != age": ("age", "!=", 30),
    "  age\n>\t-1.5e3 ": ("age", ">", -1500.0), "age == +.5": ("age", "==", 0.5),
    "age == 2.": ("age", "==", 2.0), "((a=1))": ("a", "==", 1),
    "20 <= age < 30": ("and", ("age", ">=", 20), ("age", "<", 30)),
    "30 > age >= -20": ("and", ("age", "<", 30), ("age", ">=", -20)),
    "'a' <= x <= 'b'": ("and", ("x", ">=", "a"), ("x", "<=", "b")),
    "age between 1 and 2": ("and", ("age", ">=", 1), ("age", "<=", 2)),
    "a between 1 and 2 and b=3":
        ("and", ("and", ("a", ">=", 1), ("a", "<=", 2)), ("b", "==", 3)),
    "x in [1, -2.5, 'a']": ("x", "in", (1, -2.5, "a")), "x in ('a')": ("x", "in", ("a",)),
    "x not in [1]": ("not", ("x", "in", (1,))), "x is missing": ("x", "missing"),
    "x is not missing": ("not", ("x", "missing")),
    "`hours per week` > 40": ("hours per week", ">", 40), "`a``b` == 1": ("a`b", "==", 1),
    "`and` == 1": ("and", "==", 1), "größe_2 < 1": ("größe_2", "<", 1),
    "x == 'it''s'": ("x", "==", "it's"), 'x == "say ""hi"""': ("x", "==", 'say "hi"'),
    r"x == 'it\'s \\ here'": ("x", "==", "it's \\ here"), "x == ''": ("x", "==", ""),
    "x == 'a and b < 3'": ("x", "==", "a and b < 3"),
    "x == True or x = FALSE": ("or", ("x", "==", True), ("x", "==", False)),
    "NOT x IS Missing AND y Not In [1] oR z BETWEEN 1 AnD 2":
        ("or", ("and", ("not", ("x", "missing")), ("not", ("y", "in", (1,)))),
         ("and", ("z", ">=", 1), ("z", "<=", 2))),
    "a=1 or b=2 and c=3": ("or", ("a", "==", 1), ("and", ("b", "==", 2), ("c", "==", 3))),
    "(a=1 or b=2) and c=3": ("and", ("or", ("a", "==", 1), ("b", "==", 2)), ("c", "==", 3)),
    "not a=1 and b=2": ("and", ("not", ("a", "==", 1)), ("b", "==", 2)),
    "not (a=1 and b=2)": ("not", ("and", ("a", "==", 1), ("b", "==", 2))),
    "not not a=1": ("not", ("not", ("a", "==", 1))),
    "a=1 and b=2 and c=3": ("and", ("a", "==", 1), ("b", "==", 2), ("c", "==", 3)),
}  # fmt: skip


@pytest.mark.parametrize("text", GRAMMAR)
def test_the_grammar(text: str) -> None:
    # 1 == True == 1.0 in Python; the kinds must be right too.
    assert repr(plain(parse(text))) == repr(GRAMMAR[text])


MALFORMED: dict[str, tuple[int, str]] = {
    "": (0, "empty"), " \n ": (0, "empty"), "age": (3, "Expected a comparison"),
    "age <": (5, "Expected a column or a value, and the event ends"),
    "age < 30 sex": (9, "Expected `and`, `or` or the end, and there is 'sex'"),
    "age < 30 and": (12, "the event ends"), "(age < 30": (9, "Expected `)`, and the event ends"),
    "age < 30)": (8, "Expected `and`, `or` or the end"), "~a == 1": (0, "Write `not`."),
    "a == 1 & b == 2": (7, "Write `and`."), "a == 1 | b == 2": (7, "Write `or`."),
    "a * 2 == 1": (2, "nothing is calculated"), "sex == 'Male": (7, "The text is not closed."),
    "`hours > 3": (0, "The name is not closed."), "hours-per-week > 3": (5, "stand in backticks"),
    "sex == Male": (7, "'Male' is taken for a column. Texts stand in quotes."),
    "1 < 2": (4, "none is a column"), "x in 3": (5, "a list of values"),
    "x in []": (6, "Expected a value"), "x in [1, 2": (10, "Expected `]`"),
    "x in (1]": (7, "Expected `)`"), "x is 3": (5, "Expected `missing`"),
    "x not 3": (6, "Expected `in`"), "x between 1 or 2": (12, "Expected `and`"),
    "x == - 'a'": (7, "Expected a number"), "x == 3abc": (5, "'3' cannot stand here"),
    "1 < x < y": (8, "Expected a value"), "3 is missing": (2, "Expected a comparison"),
}  # fmt: skip


@pytest.mark.parametrize("text", MALFORMED)
def test_errors_point_at_their_place(text: str) -> None:
    place, words = MALFORMED[text]
    with pytest.raises(QuestionError) as raised:
        parse(text)
    message, shown, caret = str(raised.value).split("\n")
    assert words in message
    assert shown.rstrip() == f"  {text}".replace("\n", " ").rstrip()
    assert caret == " " * (place + 2) + "^"


def test_long_texts_are_shown_around_the_place() -> None:
    text = "age < 30 and " * 50 + "age ? 4"
    with pytest.raises(QuestionError) as raised:
        parse(text)
    _, shown, caret = str(raised.value).split("\n")
    assert len(shown) < 110
    assert shown[caret.index("^")] == "?"


def test_limits_of_length_and_nesting() -> None:
    assert isinstance(parse("(" * 45 + "x = 1" + ")" * 45), Comparison)
    for deep in ("(" * 60 + "x = 1" + ")" * 60, "not " * 4990 + "x = 1", "(" * 19_000):
        with pytest.raises(QuestionError, match="nested too deeply"):
            parse(deep)
    assert len(plain(parse(" or ".join(["x = 1"] * 2000)))) == 2001
    with pytest.raises(QuestionError, match=r"has 20006 characters; at most 20000"):
        parse("x = 1 " + " " * 20_000)


def test_numbers_too_large_to_be_read_are_no_crash() -> None:
    for digits in (400, 5000):
        for text in (f"age == {'1' * digits}", f"age < -{'1' * digits}"):
            try:
                event = event_of(text, SCHEMA)
            except QuestionError:
                continue
            assert holds(event, VALUES).sum() == 0


WORDS = ["age", "and", "or", "not", "in", "is", "missing", "between", "true", "'a'", '"', "'",
         "`", "[", "]", "(", ")", ",", "<", "<=", "==", "-", "+", "3", ".5", "1e3", " ", "\\", "é",
         "&"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_text_parses_or_is_a_question_error(text: str) -> None:
    try:
        said = repr(plain(parse(text)))
    except QuestionError as error:
        said = str(error)
    assert said.endswith(("^", ")"))


@settings(deadline=None)
@given(st.text(), st.text(string.printable, min_size=1))
def test_any_value_and_any_name_can_be_written(value: str, name: str) -> None:
    written = "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    quoted = "`" + name.replace("`", "``") + "`"
    assert plain(parse(f"{quoted} == {written}")) == (name, "==", value)


# A small table with every kind of column and missing cells.
FRAME = pd.DataFrame(
    {
        "age": pd.array([20, 25, None, 30, 30, 41, 25, None, 60, 20], dtype="Int64"),
        "size": [0.5, np.nan, -1.25, 3.0, 0.5, 2.0, np.nan, 7.5, 0.0, 0.5],
        "city": ["Rome", None, "Oslo", "Bonn", "Rome", "Oslo", "Rome", None, "Bonn", "Rome"],
        "hours per week": [40, 40, 20, 35, 10, 60, 40, 20, 38, 39],
        "day": pd.to_datetime(["2020-01-05", "2020-02-01", None, "2021-03-31"] * 2 + [None] * 2),
        "stars": [1, 3, 5, 1, 3, 5, 1, 1, 1, 3],
        "member": [True, False] * 5,
        "name": [f"person {number}" for number in range(10)],
    }
)
SCHEMA = schema_of(FRAME, {"stars": "categorical", "age": "integer", "name": "left out"})
VALUES = values_of(as_table(FRAME), SCHEMA)

TRUE_OF: dict[str, list[int]] = {
    "age < 30": [0, 1, 6, 9], "not age < 30": [2, 3, 4, 5, 7, 8], "age == 20.5": [],
    "age != 25": [0, 2, 3, 4, 5, 7, 8, 9], "age is missing": [2, 7],
    "20 < age <= 30": [1, 3, 4, 6], "age in [20, 60.0]": [0, 8, 9],
    "age < 1e400": [0, 1, 3, 4, 5, 6, 8, 9], "city == 'Rome' and size == 0.5": [0, 4, 9],
    "city not in ['Rome', 'Bonn']": [1, 2, 5, 7], "city != 'Rome'": [1, 2, 3, 5, 7, 8],
    "stars > 2": [1, 2, 4, 5, 9], "2 < stars < 5": [1, 4, 9], "stars == 3.0": [1, 4, 9],
    "member == true and age == 25": [6], "member < 1 and age == 25": [1],
    "day < '2020-02-01'": [0, 4], "day <= '1.2.2020'": [0, 1, 4, 5],
    "day == '2020-02-01 00:00:00'": [1, 5], "day > '2020-02-01T00:00'": [3, 7],
    "day is not missing and `hours per week` >= 40": [0, 1, 5],
}  # fmt: skip


@pytest.mark.parametrize("text", TRUE_OF)
def test_what_events_hold_for(text: str) -> None:
    assert np.flatnonzero(holds(event_of(text, SCHEMA), VALUES)).tolist() == TRUE_OF[text]


REFUSED: dict[str, tuple[int, str]] = {
    "size > 1 and agee < 3": (13, "no column 'agee'. Did you mean 'age'?"),
    "name == 'person 1'": (0, "left out of the model"), "stars < '3'": (0, "have no order"),
    "city in ['Oslo', 'Roma']": (17, "no level 'Roma'. Did you mean 'Rome'?"),
    "city == 5": (8, "no level 5. Known: 'Bonn'"), "stars == 2": (9, "no level 2. Known: 1, 3, 5"),
    "city < 'Rome'": (0, "have no order: 'Bonn', 'Oslo', 'Rome'. Use == or in."),
    "age == '30'": (7, "'age' holds numbers, and this is none"), "day < 'soon'": (6, "is none"),
    "size > true": (7, "'size' holds numbers"), "day in ['NA']": (8, "'NA' means a missing cell"),
    "day == 2020": (7, "'day' holds times, and 2020 is none. Write it like '2014-"),
    "city == 'NA'": (8, "'NA' means a missing cell; write `city is missing`"),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_events_that_the_columns_refuse(text: str) -> None:
    place, words = REFUSED[text]
    with pytest.raises(QuestionError, match=re.escape(words)) as raised:
        event_of(text, SCHEMA)
    assert str(raised.value).endswith(f"\n  {text}\n  {' ' * place}^")


def test_cells_by_column_are_evidence() -> None:
    event = event_of_cells({"city": "Rome", "age": 20, "day": None}, SCHEMA)
    assert np.flatnonzero(holds(event, VALUES)).tolist() == [9]
    assert [SCHEMA.names[d] for d in columns_of(event)] == ["city", "age", "day"]
    for cells, words in (({"town": "Rome"}, "no column 'town'"), ({"city": "Roma"}, "Roma")):
        with pytest.raises(QuestionError, match=words):
            event_of_cells(cells, SCHEMA)


@dataclass
class Drawn:
    text: str
    test: Test


COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
           "==": operator.eq, "!=": operator.ne}  # fmt: skip
KNOWN: dict[str, list[Any]] = {
    "age": [20, 25, 30, 33.5, 60], "size": [0.5, -1.25, 2, 7.5], "`hours per week`": [20, 39.5, 40],
    "stars": [1, 3, 5], "city": ["Rome", "Oslo", "Bonn"],
}  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn) -> Drawn:
    column = draw(st.sampled_from(sorted(KNOWN)))
    name, values = column.strip("`"), KNOWN[column]
    form = draw(st.sampled_from(["compare", "in", "missing", "mirrored"]))
    if form == "missing":
        return Drawn(f"{column} is missing", lambda row: row[name] is None)
    if form == "in":
        some = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        return Drawn(f"{column} in {some!r}", lambda row: row[name] in some)
    sign = draw(st.sampled_from(["==", "!="] if name == "city" else sorted(COMPARE)))
    value, compare = draw(st.sampled_from(values)), COMPARE[sign]
    turned = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(sign, sign)
    text = f"{column} {sign} {value!r}" if form == "compare" else f"{value!r} {turned} {column}"
    # A comparison is false of a missing cell, except that it differs from every value.
    if sign == "!=":
        return Drawn(text, lambda row: row[name] != value)
    return Drawn(text, lambda row: row[name] is not None and compare(row[name], value))


def negated(part: Drawn) -> Drawn:
    return Drawn(f"not ({part.text})", lambda row: not part.test(row))


def connected(parts: list[Drawn], word: str) -> Drawn:
    together, text = all if word == "and" else any, f" {word} ".join(f"({p.text})" for p in parts)
    return Drawn(text, lambda row: together(part.test(row) for part in parts))


def larger(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    parts = st.lists(inner, min_size=2, max_size=3)
    return inner.map(negated) | st.builds(connected, parts, st.sampled_from(["and", "or"]))


EVENTS = st.recursive(conditions(), larger, max_leaves=6)
ROWS: list[Row] = FRAME.astype(object).where(FRAME.notna(), None).to_dict("records")


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_events_hold_where_python_says_so_and_their_boxes_are_disjoint(drawn: Drawn) -> None:
    event = event_of(drawn.text, SCHEMA)
    expected = np.array([drawn.test(row) for row in ROWS])
    assert holds(event, VALUES).tolist() == expected.tolist(), drawn.text
    boxes = boxes_of(event, 10_000)
    assert boxes is not None
    inside = np.zeros(10, dtype=int)
    for box in boxes:
        within = [box[d].contains(torch.as_tensor(VALUES[:, d])).numpy() for d in box]
        inside += np.all(within, axis=0) if within else np.ones(10, dtype=bool)
    assert inside.tolist() == expected.astype(int).tolist(), drawn.text
