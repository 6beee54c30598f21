"""The gate: one expression over metrics, with three outcomes (Kleene's strong three-valued logic). Pure.

A metric that is missing, a NaN and a division by zero are inconclusive and never a pass: silence is no
evidence.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from lading.errors import GateFailed, GateInconclusive, InternalError
from lading.project.expression import (
    COMPARISONS,
    Binary,
    Expression,
    Metric,
    Negative,
    Not,
    Number,
    format_expression,
    metric_names,
    parse,
)


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


_MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One comparison of a gate with what its two sides came to; None where a side has no value."""

    text: str
    left_text: str
    operator: str
    right_text: str
    left: float | None
    right: float | None
    outcome: Outcome
    missing: tuple[str, ...] = ()
    """Metrics it reads that are absent or NaN."""

    def __str__(self) -> str:
        left, right = _side(self.left_text, self.left), _side(self.right_text, self.right)
        because = f" (no value for {', '.join(self.missing)})" if self.missing else ""
        return f"{left} {self.operator} {right} {_MARKS[self.outcome]}{because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    gate: str
    outcome: Outcome
    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return "; ".join(str(term) for term in self.terms)

    def as_json(self) -> dict[str, object]:
        terms = [
            {"text": t.text, "left": t.left, "right": t.right, "outcome": t.outcome.value} for t in self.terms
        ]
        return {"gate": self.gate, "outcome": self.outcome.value, "terms": terms}


def evaluate(
    expression: Expression | str, metrics: Mapping[str, float], *, place: str | None = None
) -> Verdict:
    """What `metrics` say to the gate. Raises ProjectError for text that is no gate."""
    tree = parse(expression, place=place) if isinstance(expression, str) else expression
    terms: list[Term] = []
    outcome = _truth(tree, metrics, terms)
    return Verdict(gate=format_expression(tree), outcome=outcome, terms=tuple(terms))


def enforce(verdict: Verdict, *, place: str | None = None) -> None:
    """Raises GateFailed (exit 5) or GateInconclusive (exit 6) unless the verdict is a pass."""
    if verdict.outcome is Outcome.FAIL:
        raise GateFailed(f"the gate `{verdict.gate}` failed: {verdict}", place=place)
    if verdict.outcome is Outcome.INCONCLUSIVE:
        raise GateInconclusive(
            f"the gate `{verdict.gate}` is inconclusive: {verdict}",
            place=place,
            hints=("write the metric to $LADING_OUTPUTS/metrics.json as one JSON object of numbers",),
        )


def kleene_not(value: Outcome) -> Outcome:
    return {Outcome.PASS: Outcome.FAIL, Outcome.FAIL: Outcome.PASS}.get(value, Outcome.INCONCLUSIVE)


def kleene_and(left: Outcome, right: Outcome) -> Outcome:
    if Outcome.FAIL in (left, right):
        return Outcome.FAIL
    return Outcome.PASS if left is right is Outcome.PASS else Outcome.INCONCLUSIVE


def kleene_or(left: Outcome, right: Outcome) -> Outcome:
    return kleene_not(kleene_and(kleene_not(left), kleene_not(right)))


def _truth(tree: Expression, metrics: Mapping[str, float], terms: list[Term]) -> Outcome:
    match tree:
        case Not(operand):
            return kleene_not(_truth(operand, metrics, terms))
        case Binary("and", left, right):
            # Both sides always: the explanation lists every term, decided or not.
            return kleene_and(_truth(left, metrics, terms), _truth(right, metrics, terms))
        case Binary("or", left, right):
            return kleene_or(_truth(left, metrics, terms), _truth(right, metrics, terms))
        case Binary(operator, left, right) if operator in COMPARISONS:
            term = _compare(tree, operator, left, right, metrics)
            terms.append(term)
            return term.outcome
    raise InternalError(f"a number stands where a gate needs a truth: {format_expression(tree)}")


def _compare(
    tree: Expression, operator: str, left: Expression, right: Expression, metrics: Mapping[str, float]
) -> Term:
    left_value, right_value = _number(left, metrics), _number(right, metrics)
    if left_value is None or right_value is None:
        outcome = Outcome.INCONCLUSIVE
    else:
        outcome = Outcome.PASS if _holds(operator, left_value, right_value) else Outcome.FAIL
    names = metric_names(tree)
    return Term(
        text=format_expression(tree),
        left_text=format_expression(left),
        operator=operator,
        right_text=format_expression(right),
        left=left_value,
        right=right_value,
        outcome=outcome,
        missing=tuple(name for name in names if math.isnan(metrics.get(name, math.nan))),
    )


def _holds(operator: str, left: float, right: float) -> bool:
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case ">=":
            return left >= right
        case "==":
            return left == right
        case _:
            return left != right


def _number(tree: Expression, metrics: Mapping[str, float]) -> float | None:
    """The value, or None where there is none: missing, NaN, division by zero."""
    match tree:
        case Number(value):
            return value
        case Metric(name):
            value = metrics.get(name, math.nan)
        case Negative(operand):
            inner = _number(operand, metrics)
            return None if inner is None else -inner
        case Binary(operator, left, right):
            value = _arithmetic(operator, _number(left, metrics), _number(right, metrics))
        case Not():
            raise InternalError(f"a truth stands where a gate needs a number: {format_expression(tree)}")
    return None if math.isnan(value) else value


def _arithmetic(operator: str, left: float | None, right: float | None) -> float:
    if left is None or right is None:
        return math.nan
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case _:
            return left / right if right != 0 else math.nan


def _side(text: str, value: float | None) -> str:
    """`accuracy 0.97`; a plain number is printed once."""
    shown = "?" if value is None else f"{value:.6g}"
    is_number = text.replace(".", "").replace("-", "").replace("e", "").replace("+", "").isdigit()
    return shown if is_number else f"{text} {shown}"
