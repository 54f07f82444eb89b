"""Text of an event -> a tree: comparisons, `in`, missing, `not`, `and`, `or`.

    age < 30 and income == '>50K'      20 <= age < 30      `hours per week` > 40
    education in ['Masters', 'Doctorate'] or not (sex == 'Male')      workclass is missing

A recursive-descent parser; nothing of the text is ever executed. Knows text; knows nothing of
columns, levels or models.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from made.errors import QuestionError

Literal = str | float | int | bool

# What people write by hand is far below; deeper nesting would exhaust the stack.
_MAX_LENGTH, _MAX_DEPTH, _MAX_DIGITS = 20_000, 50, 18
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*")
    |(?P<quoted>`(?:[^`]|``)+`)
    |(?P<word>[^\W\d]\w*)
    |(?P<sign><=|>=|==|!=|<>|[<>=()\[\],+-])
    )""",
    re.VERBOSE,
)
_COMPARISONS = {"<", "<=", ">", ">=", "==", "!=", "=", "<>"}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_WORDS = {"and", "or", "not", "in", "is", "missing", "between", "true", "false"}
_HINTS = {
    "&": "Write `and`.", "|": "Write `or`.", "~": "Write `not`.", "!": "Write `not`.",
    "*": "Columns are compared with values; nothing is calculated.",
    "'": "The text is not closed.", '"': "The text is not closed.",
    "`": "The name is not closed.",
    "-": "Names with other characters than letters, digits and _ stand in backticks.",
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """A column beside a value; ``operator`` is one of < <= > >= == !=."""

    column: str
    operator: str
    value: Literal
    position: int
    value_position: int


@dataclass(frozen=True)
class Membership:
    """A column whose value is one of several."""

    column: str
    values: tuple[Literal, ...]
    position: int
    value_positions: tuple[int, ...]


@dataclass(frozen=True)
class IsMissing:
    """A column whose cell is missing."""

    column: str
    position: int


@dataclass(frozen=True)
class Negation:
    """What is true where its part is not."""

    part: Node


@dataclass(frozen=True)
class Connection:
    """Several parts, all of which must be true, or any."""

    word: str
    parts: tuple[Node, ...]


Node = Comparison | Membership | IsMissing | Negation | Connection


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


class _Column(NamedTuple):
    name: str
    position: int


class _Value(NamedTuple):
    value: Literal
    position: int


def parse(text: str) -> Node:
    """Return the tree of an event.

    Raises
    ------
    QuestionError
        If the text is no event; the message points at the place.

    Examples
    --------
    >>> parse("age < 30")
    Comparison(column='age', operator='<', value=30, position=0, value_position=6)
    """
    if not isinstance(text, str):
        raise QuestionError(
            f"An event is a text such as \"age < 30 and sex == 'Female'\"; got {text!r}."
        )
    if len(text) > _MAX_LENGTH:
        raise QuestionError(
            f"The event has {len(text)} characters; at most {_MAX_LENGTH} are read."
        )
    return _Parser(text).whole()


def error_at(text: str, position: int, message: str) -> QuestionError:
    """Return an error whose message points at a position of the text."""
    start = max(position - 60, 0)
    shown = text[start : position + 40].replace("\n", " ").replace("\t", " ")
    return QuestionError(f"{message}\n  {shown}\n  {' ' * (position - start)}^")


class _Parser:
    """Reads tokens from left to right; one method a rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._place = 0
        self._depth = 0

    def whole(self) -> Node:
        if self._next.kind == "end":
            raise error_at(self._text, 0, "The event is empty.")
        node = self._any()
        if self._next.kind != "end":
            raise self._unexpected("`and`, `or` or the end")
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _is(self, *words: str) -> bool:
        token = self._next
        return token.kind in ("keyword", "sign") and token.text in words

    def _take(self) -> _Token:
        token = self._next
        self._place += 1
        return token

    def _expect(self, text: str) -> None:
        if not self._is(text):
            raise self._unexpected(f"`{text}`")
        self._take()

    def _unexpected(self, expected: str) -> QuestionError:
        token = self._next
        came = "the event ends" if token.kind == "end" else f"there is {token.text!r}"
        hint = f" {_HINTS['-']}" if token.text == "-" else ""
        return error_at(self._text, token.position, f"Expected {expected}, and {came}.{hint}")

    def _any(self) -> Node:
        return self._connected("or", self._all)

    def _all(self) -> Node:
        return self._connected("and", self._negated)

    def _connected(self, word: str, rule: Callable[[], Node]) -> Node:
        parts = [rule()]
        while self._is(word):
            self._take()
            parts.append(rule())
        return parts[0] if len(parts) == 1 else Connection(word, tuple(parts))

    def _negated(self) -> Node:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise error_at(self._text, self._next.position, "The event is nested too deeply.")
        if self._is("not"):
            self._take()
            node: Node = Negation(self._negated())
        elif self._is("("):
            self._take()
            node = self._any()
            self._expect(")")
        else:
            node = self._condition()
        self._depth -= 1
        return node

    def _condition(self) -> Node:
        first = self._operand()
        if isinstance(first, _Column) and self._is("is"):
            self._take()
            negated = self._is("not")
            if negated:
                self._take()
            self._expect("missing")
            node = IsMissing(first.name, first.position)
            return Negation(node) if negated else node
        if isinstance(first, _Column) and self._is("in", "not"):
            return self._membership(first)
        if isinstance(first, _Column) and self._is("between"):
            self._take()
            low = self._value()
            self._expect("and")
            return self._range(first, low, "<=", "<=", self._value())
        operator = self._operator()
        second = self._operand()
        if isinstance(first, _Value) and isinstance(second, _Column) and self._is(*_COMPARISONS):
            return self._range(second, first, operator, self._operator(), self._value())
        return self._comparison(first, operator, second)

    def _comparison(
        self, first: _Column | _Value, operator: str, second: _Column | _Value
    ) -> Comparison:
        if isinstance(first, _Column) and isinstance(second, _Value):
            return Comparison(first.name, operator, second.value, first.position, second.position)
        if isinstance(first, _Value) and isinstance(second, _Column):
            return self._comparison(second, _MIRRORED[operator], first)
        if isinstance(first, _Column):
            message = (
                f"A column is compared with a value, and {self._named(second)} is taken for a "
                "column. Texts stand in quotes."
            )
        else:
            message = "Two values are compared, and none is a column."
        raise error_at(self._text, second.position, message)

    def _named(self, operand: _Column | _Value) -> str:
        return repr(operand.name if isinstance(operand, _Column) else operand.value)

    def _range(
        self, column: _Column, low: _Value, left: str, right: str, high: _Value
    ) -> Connection:
        return Connection(
            "and",
            (self._comparison(low, left, column), self._comparison(column, right, high)),
        )

    def _membership(self, column: _Column) -> Node:
        negated = self._is("not")
        if negated:
            self._take()
        self._expect("in")
        if not self._is("[", "("):
            raise self._unexpected("a list of values, such as [1, 2]")
        closing = "]" if self._take().text == "[" else ")"
        values = [self._value()]
        while self._is(","):
            self._take()
            values.append(self._value())
        self._expect(closing)
        node = Membership(
            column.name,
            tuple(value.value for value in values),
            column.position,
            tuple(value.position for value in values),
        )
        return Negation(node) if negated else node

    def _operator(self) -> str:
        if not self._is(*_COMPARISONS):
            raise self._unexpected("a comparison such as < or ==")
        text = self._take().text
        return {"=": "==", "<>": "!="}.get(text, text)

    def _operand(self) -> _Column | _Value:
        token = self._next
        if token.kind in ("word", "quoted"):
            self._take()
            name = token.text if token.kind == "word" else token.text[1:-1].replace("``", "`")
            return _Column(name, token.position)
        return self._value("a column or a value")

    def _value(self, expected: str = "a value") -> _Value:
        position, sign = self._next.position, 1
        if self._is("-", "+"):
            sign = -1 if self._take().text == "-" else 1
            if self._next.kind != "number":
                raise self._unexpected("a number")
        token = self._next
        if token.kind == "number":
            self._take()
            # Numbers of more digits than any column holds exactly are floats, or infinite.
            is_whole = token.text.isdecimal() and len(token.text) <= _MAX_DIGITS
            return _Value(sign * (int(token.text) if is_whole else float(token.text)), position)
        if token.kind == "text":
            self._take()
            return _Value(_unquoted(token.text), position)
        if self._is("true", "false"):
            return _Value(self._take().text == "true", position)
        raise self._unexpected(expected)


def _tokens(text: str) -> list[_Token]:
    tokens, place = [], 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            position = place + len(text[place:]) - len(text[place:].lstrip())
            character = text[position]
            hint = _HINTS.get(character, "Names with other characters stand in backticks.")
            raise error_at(text, position, f"{character!r} cannot stand here. {hint}")
        kind = str(match.lastgroup)
        word = match.group(kind)
        if kind == "word" and word.lower() in _WORDS:
            kind, word = "keyword", word.lower()
        tokens.append(_Token(kind, word, match.start(match.lastgroup or 0)))
        place = match.end()
    return [*tokens, _Token("end", "", len(text))]


def _unquoted(text: str) -> str:
    quote = text[0]
    return re.sub(r"\\(.)", r"\1", text[1:-1].replace(quote * 2, quote))
