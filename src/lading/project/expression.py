"""The gate's expressions: text → tree → text. Pure.

Grammar, loosest first; comparisons do not chain:

    or         = and { "or" and }
    and        = not { "and" not }
    not        = "not" not | comparison
    comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
    sum        = product { ("+" | "-") product }
    product    = unary { ("*" | "/") unary }
    unary      = "-" unary | number | metric | "(" or ")"
    metric     = name { "." name },  name = letter or "_", then letters, digits, "_", "@"

Knows syntax and which operand must be a truth or a number; must not know metrics' values.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from lading.errors import ProjectError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_@]*(?:\.[A-Za-z0-9_@]+)*)"
    r"|(?P<operator><=|>=|==|!=|[<>+\-*/()])"
    r"|(?P<end>$))"
)
_MAXIMUM_LENGTH = 4096
_MAXIMUM_DEPTH = 64
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
_BINDING = {"or": 1, "and": 2, **dict.fromkeys(COMPARISONS, 4), "+": 5, "-": 5, "*": 6, "/": 6}
_NOT_BINDING = 3
_NEGATIVE_BINDING = 7


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Metric:
    name: str


@dataclass(frozen=True, slots=True)
class Negative:
    operand: Expression


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """`operator` is an arithmetic sign, a comparison, `and` or `or`."""

    operator: str
    left: Expression
    right: Expression


Expression = Number | Metric | Negative | Not | Binary


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int


def parse(text: str, *, place: str | None = None) -> Expression:
    """The tree of a truth expression. Raises ProjectError with a caret under the column at fault."""
    return _Parser(text, place).parse()


def is_truth(expression: Expression) -> bool:
    """True for what yields pass, fail or inconclusive; False for what yields a number."""
    if isinstance(expression, Binary):
        return expression.operator in ("and", "or", *COMPARISONS)
    return isinstance(expression, Not)


def metric_names(expression: Expression) -> tuple[str, ...]:
    """Every metric the expression reads, sorted."""
    match expression:
        case Number():
            return ()
        case Metric(name):
            return (name,)
        case Negative(operand) | Not(operand):
            return metric_names(operand)
        case Binary(_, left, right):
            return tuple(sorted({*metric_names(left), *metric_names(right)}))


def format_expression(expression: Expression) -> str:
    """Text that parses to the same tree, with no parenthesis that is not needed."""
    return _format(expression, 0)


def _format(expression: Expression, context: int) -> str:
    match expression:
        case Number(value):
            whole = value.is_integer() and abs(value) < 1e15
            return str(int(value)) if whole else repr(value)
        case Metric(name):
            return name
        case Negative(operand):
            return f"-{_format(operand, _NEGATIVE_BINDING)}"
        case Not(operand):
            text, binding = f"not {_format(operand, _NOT_BINDING)}", _NOT_BINDING
        case Binary(operator, left, right):
            binding = _BINDING[operator]
            # Comparisons do not chain, so both their sides bind tighter.
            left_context = binding + 1 if operator in COMPARISONS else binding
            text = f"{_format(left, left_context)} {operator} {_format(right, binding + 1)}"
    return f"({text})" if binding < context else text


class _Parser:
    """Precedence climbing over a token list; every operand's kind is checked where it is met."""

    def __init__(self, text: str, place: str | None) -> None:
        self._text = text
        self._place = place
        self._depth = 0
        if len(text) > _MAXIMUM_LENGTH:
            raise ProjectError(f"a gate may be {_MAXIMUM_LENGTH} characters long at most", place=place)
        self._tokens = self._tokenize()
        self._next = 0

    def parse(self) -> Expression:
        start = self._peek()
        expression = self._expression(0)
        token = self._peek()
        if token.kind != "end":
            raise self._error(token, f"{token.text!r} was not expected here")
        self._require(expression, truth=True, at=start)
        return expression

    def _tokenize(self) -> list[_Token]:
        tokens: list[_Token] = []
        position = 0
        while not tokens or tokens[-1].kind != "end":
            match = _TOKEN.match(self._text, position)
            if match is None or match.lastgroup is None:
                column = position + len(self._text[position:]) - len(self._text[position:].lstrip())
                raise self._error(_Token("bad", "", column), f"{self._text[column]!r} is no part of a gate")
            kind = match.lastgroup
            token = _Token(kind, match.group(kind), match.start(kind))
            if kind == "name" and token.text in ("and", "or", "not"):
                token = _Token("operator", token.text, token.column)
            if kind == "number" and not math.isfinite(float(token.text)):
                raise self._error(token, f"{token.text} is too large for a number")
            tokens.append(token)
            position = match.end()
        return tokens

    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _expression(self, minimum: int) -> Expression:
        start = self._peek()
        self._depth += 1
        if self._depth > _MAXIMUM_DEPTH:
            raise self._error(start, "nested too deep")
        left = self._prefix()
        while (operator := self._peek()).kind == "operator":
            binding = _BINDING.get(operator.text, -1)
            if binding < max(minimum, 1):
                break
            self._take()
            left = self._binary(start, operator, left, binding)
        self._depth -= 1
        return left

    def _binary(self, start: _Token, operator: _Token, left: Expression, binding: int) -> Expression:
        wants_truth = operator.text in ("and", "or")
        if operator.text in COMPARISONS and isinstance(left, Binary) and left.operator in COMPARISONS:
            raise self._error(operator, "comparisons do not chain; join two with `and`")
        self._require(left, truth=wants_truth, at=start)
        right_start = self._peek()
        right = self._expression(binding + 1)
        self._require(right, truth=wants_truth, at=right_start)
        return Binary(operator.text, left, right)

    def _prefix(self) -> Expression:
        token = self._take()
        if token.kind == "number":
            return Number(float(token.text))
        if token.kind == "name":
            return Metric(token.text)
        after = self._peek() if token.kind == "operator" else token
        if token.text == "not":
            operand = self._expression(_NOT_BINDING)
            self._require(operand, truth=True, at=after)
            return Not(operand)
        if token.text == "-":
            operand = self._expression(_NEGATIVE_BINDING)
            self._require(operand, truth=False, at=after)
            return Negative(operand)
        if token.text == "(":
            inner = self._expression(0)
            if (closing := self._take()).text != ")":
                raise self._error(closing, "a closing `)` was expected")
            return inner
        found = "the gate ends" if token.kind == "end" else f"{token.text!r} stands"
        raise self._error(token, f"{found} where a metric, a number, `not` or `(` was expected")

    def _require(self, expression: Expression, *, truth: bool, at: _Token) -> None:
        if is_truth(expression) is not truth:
            wanted = "a comparison such as `accuracy > 0.9`" if truth else "a number or a metric"
            raise self._error(at, f"{wanted} was expected here")

    def _error(self, token: _Token, why: str) -> ProjectError:
        caret = " " * token.column + "^"
        line = self._text.replace("\n", " ").replace("\t", " ")
        return ProjectError(
            f"gate, column {token.column + 1}: {why}\n  {line}\n  {caret}",
            place=self._place,
            hints=('a gate reads: gate = "accuracy > 0.95 and loss < 0.2"',),
        )
