"""Conditions as text: "rsi(14) < 30 and close > ema(200)", "on 1h: macd(12, 26, 9).hist > 0", "ema(12) crosses above
ema(26)".

    condition  = all, or more of them joined by "or"
    all        = one, or more of them joined by "and" ("and" binds tighter than "or")
    one        = "(" condition ")"  |  "on" timeframe ":" one  |  value comparison value
    comparison = ">" ">=" "<" "<=" "crosses above" "crosses below"
    value      = number  |  name  |  name "(" numbers ")"  |  name "(" numbers ")" "." output

Nothing is evaluated here but this grammar. An error names the position (counted from 1) and what would be right.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from trading.core.errors import InvalidInput
from trading.core.indicators import check_value
from trading.core.needs import AllOf, AnyOf, Compare, Condition, Const, On, Value
from trading.core.rounding import plain, to_decimal
from trading.core.timeframes import timeframe_name, timeframe_of

MOST_CHARACTERS = 500
MOST_COMPARISONS = 30
DEEPEST = 10

Op = Literal[">", ">=", "<", "<=", "crosses_above", "crosses_below"]
_OPS: dict[str, Op] = {">": ">", ">=": ">=", "<": "<", "<=": "<="}
_CROSSES: dict[str, Op] = {"above": "crosses_above", "below": "crosses_below"}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d{1,15}(?:\.\d{1,15})?)(?![\w.])|(?P<frame>\d+[a-z])|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>>=|<=|[<>(),.:]))"
)
_WORDS = frozenset({"and", "or", "on", "crosses", "above", "below"})


class _Token(NamedTuple):
    kind: str  # number, frame, name, sign, end
    text: str
    at: int  # position, counted from 1


def parse_condition(text: str, *, field: str = "condition") -> Condition:
    """Return the condition that a text describes. Raises InvalidInput naming `field`, the position and what fits."""
    if len(text) > MOST_CHARACTERS:
        shown = f"it has {len(text)} characters, at most {MOST_CHARACTERS} are read"
        raise InvalidInput(f"This condition is too long: {shown}.", field=field, value=text, code="too_long")
    parser = _Parser(text, field)
    condition = parser.condition(0)
    parser.expect_end()
    return condition


class _Parser:
    """Reads tokens from left to right; each method reads what its name says."""

    def __init__(self, text: str, field: str) -> None:
        self._text = text
        self._field = field
        self._tokens = self._split()
        self._next = 0
        self._comparisons = 0

    def condition(self, depth: int) -> Condition:
        parts = [self._all(depth)]
        while self._take("or"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            raise self._fault('"and", "or" or the end')

    def _all(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._take("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _one(self, depth: int) -> Condition:
        if depth >= DEEPEST:
            raise self._fault(f"no more than {DEEPEST} brackets inside one another")
        if self._take("("):
            inner = self.condition(depth + 1)
            self._need(")")
            return inner
        if self._take("on"):
            timeframe_ms = self._timeframe()
            self._need(":")
            return On(timeframe_ms, self._one(depth + 1))
        return self._compare()

    def _timeframe(self) -> int:
        token = self._peek()
        if token.kind != "frame":
            raise self._fault("a length of candles like 5m, 1h or 1d")
        self._next += 1
        try:
            return timeframe_of(token.text)
        except InvalidInput as error:
            raise self._wrong(token, error.message) from error

    def _compare(self) -> Compare:
        self._comparisons += 1
        if self._comparisons > MOST_COMPARISONS:
            raise self._fault(f"no more than {MOST_COMPARISONS} comparisons")
        left = self._value()
        op = self._op()
        return Compare(left, op, self._value())

    def _op(self) -> Op:
        token = self._peek()
        if token.text in _OPS:
            self._next += 1
            return _OPS[token.text]
        if self._take("crosses"):
            direction = self._peek().text.lower()
            if direction not in _CROSSES:
                raise self._fault('"above" or "below"')
            self._next += 1
            return _CROSSES[direction]
        raise self._fault('a comparison: >, >=, <, <=, "crosses above" or "crosses below"')

    def _value(self) -> Value | Const:
        token = self._peek()
        if token.kind == "number":
            self._next += 1
            return Const(float(token.text))
        if token.kind != "name" or token.text.lower() in _WORDS:
            raise self._fault('a value like close, rsi(14) or 30, "(", or "on 1h:"')
        self._next += 1
        args = self._args() if self._take("(") else ()
        output = self._output() if self._take(".") else ""
        value = Value(token.text.lower(), args, output)
        try:
            check_value(value)
        except InvalidInput as error:
            raise self._wrong(token, error.message) from error
        return value

    def _args(self) -> tuple[float, ...]:
        args: list[float] = []
        while not self._take(")"):
            if args:
                self._need(",")
            token = self._peek()
            if token.kind != "number":
                raise self._fault("a number" if args else 'a number or ")"')
            args.append(float(token.text))
            self._next += 1
        return tuple(args)

    def _output(self) -> str:
        token = self._peek()
        if token.kind != "name":
            raise self._fault("the name of an output")
        self._next += 1
        return token.text.lower()

    # --- tokens -----------------------------------------------------------------------------------------------------

    def _split(self) -> list[_Token]:
        tokens, at, end = [], 0, len(self._text.rstrip())
        while at < end:
            found = _TOKEN.match(self._text, at)
            if found is None:
                at += len(self._text[at:]) - len(self._text[at:].lstrip())
                raise self._wrong(_Token("", self._text[at], at + 1), f"{self._text[at]!r} has no meaning here")
            kind = found.lastgroup or ""
            tokens.append(_Token(kind, found[kind], found.start(kind) + 1))
            at = found.end()
        tokens.append(_Token("end", "the end", end + 1))
        return tokens

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, text: str) -> bool:
        if self._peek().kind == "end" or self._peek().text.lower() != text:
            return False
        self._next += 1
        return True

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise self._fault(f'"{text}"')

    def _fault(self, wanted: str) -> InvalidInput:
        token = self._peek()
        found = token.text if token.kind == "end" else f'"{token.text}"'
        return self._wrong(token, f"expected {wanted}, found {found}")

    def _wrong(self, token: _Token, text: str) -> InvalidInput:
        return InvalidInput(f"At position {token.at}: {text}.", field=self._field, value=self._text, code="syntax")


# --- and back -----------------------------------------------------------------------------------------------------


def condition_text(condition: Condition) -> str:
    """Write a condition so that `parse_condition` reads the same one again."""
    if isinstance(condition, Compare):
        op = condition.op.replace("_", " ")
        return f"{operand_text(condition.left)} {op} {operand_text(condition.right)}"
    if isinstance(condition, On):
        return f"on {timeframe_name(condition.timeframe_ms)}: {_inside(condition.part)}"
    word = " and " if isinstance(condition, AllOf) else " or "
    return word.join(_inside(part) for part in condition.parts)


def _inside(condition: Condition) -> str:
    text = condition_text(condition)
    return f"({text})" if isinstance(condition, AllOf | AnyOf) else text


def operand_text(side: Value | Const) -> str:
    """Write a value: "macd(12, 26, 9).hist"."""
    if isinstance(side, Const):
        return _number(side.value)
    args = f"({', '.join(_number(arg) for arg in side.args)})" if side.args else ""
    return f"{side.name}{args}{'.' + side.output if side.output else ''}"


def _number(value: float) -> str:
    return plain(to_decimal(float(value)))
