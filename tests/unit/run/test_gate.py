"""Laws of the gate: Kleene's logic, and text ↔ tree."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import GateFailed, GateInconclusive, ProjectError
from lading.project.expression import (
    COMPARISONS,
    Binary,
    Expression,
    Metric,
    Negative,
    Not,
    Number,
    format_expression,
    is_truth,
    metric_names,
    parse,
)
from lading.run.gate import Outcome, enforce, evaluate, kleene_and, kleene_not, kleene_or

PASS, FAIL, UNSURE = Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE
OUTCOMES = (PASS, FAIL, UNSURE)

names = st.sampled_from(["accuracy", "p99_latency", "stable.p99_latency", "recall@10", "android", "nothing"])
numbers = st.recursive(
    st.one_of(
        st.floats(min_value=0, max_value=1e300, allow_nan=False).map(abs).map(Number), names.map(Metric)
    ),
    lambda inner: st.one_of(
        inner.map(Negative), st.builds(Binary, st.sampled_from(["+", "-", "*", "/"]), inner, inner)
    ),
    max_leaves=6,
)
comparisons = st.builds(Binary, st.sampled_from(COMPARISONS), numbers, numbers)
truths = st.recursive(
    comparisons,
    lambda inner: st.one_of(inner.map(Not), st.builds(Binary, st.sampled_from(["and", "or"]), inner, inner)),
    max_leaves=6,
)
metrics = st.dictionaries(names, st.one_of(st.floats(), st.integers(-3, 3).map(float)))


@given(truths)
def test_what_is_printed_parses_to_the_same_tree(tree: Expression) -> None:
    assert parse(format_expression(tree)) == tree


@given(st.text(alphabet="ab.019eE+-*/<>=!() \tandornot@é", max_size=40))
def test_any_text_is_a_gate_or_a_project_error(text: str) -> None:
    try:
        tree = parse(text)
    except ProjectError as error:
        assert "^" in error.message
    else:
        assert is_truth(tree)
        assert parse(format_expression(tree)) == tree


@given(truths, truths, metrics)
def test_de_morgan_holds_with_inconclusive(
    left: Expression, right: Expression, values: dict[str, float]
) -> None:
    refused = evaluate(Not(Binary("and", left, right)), values).outcome
    assert refused == evaluate(Binary("or", Not(left), Not(right)), values).outcome


@given(truths, metrics, names, st.floats(allow_nan=False, allow_infinity=False))
def test_a_new_metric_never_turns_a_decision_around(
    tree: Expression, values: dict[str, float], name: str, value: float
) -> None:
    """Kleene's logic is monotone: more evidence decides what was open and nothing else."""
    known = {key: number for key, number in values.items() if key != name}
    before = evaluate(tree, known).outcome
    after = evaluate(tree, {**known, name: value}).outcome
    assert before is UNSURE or before is after


def test_kleene_tables() -> None:
    assert [kleene_not(value) for value in OUTCOMES] == [FAIL, PASS, UNSURE]
    rank = {FAIL: 0, UNSURE: 1, PASS: 2}
    for left, right in product(OUTCOMES, repeat=2):
        assert rank[kleene_and(left, right)] == min(rank[left], rank[right])
        assert rank[kleene_or(left, right)] == max(rank[left], rank[right])


@pytest.mark.parametrize(
    ("gate", "outcome"),
    [
        ("accuracy > 0.95", PASS),
        ("accuracy > 0.97", FAIL),
        ("accuracy >= 0.97", PASS),
        ("0.97 == accuracy", PASS),
        ("accuracy != 0.97", FAIL),
        ("accuracy > 0.85 and p99_latency < 1.2 * stable.p99_latency", PASS),
        ("missing > 0", UNSURE),
        ("missing > 0 or accuracy > 0.5", PASS),
        ("missing > 0 and accuracy > 0.99", FAIL),
        ("missing > 0 and accuracy > 0.5", UNSURE),
        ("not missing > 0", UNSURE),
        ("broken < 1", UNSURE),
        ("broken != broken", UNSURE),
        ("accuracy / zero > 1", UNSURE),
        ("loss < 1e-3", PASS),
        ("-loss * 2 + 1 - .5 > 0.4", PASS),
        ("2 - 1 - 1 == 0", PASS),
        ("8 / 2 / 2 == 2", PASS),
        ("diverged < 1", FAIL),
        ("diverged - diverged < 1", UNSURE),
        ("not (accuracy < 0.5 or loss > 1)", PASS),
    ],
)
def test_outcomes(gate: str, outcome: Outcome) -> None:
    values = {
        "accuracy": 0.97,
        "p99_latency": 11.0,
        "stable.p99_latency": 10.0,
        "broken": math.nan,
        "zero": 0.0,
        "loss": 0.0001,
        "diverged": math.inf,
    }
    assert evaluate(gate, values).outcome is outcome


@pytest.mark.parametrize(
    ("gate", "column", "word"),
    [
        ("accuracy >", 11, "ends"),
        ("accuracy", 1, "comparison"),
        ("accuracy > 0.5 and loss", 20, "comparison"),
        ("0.1 < x < 0.9", 9, "chain"),
        ("accuracy > 'high'", 12, "no part"),
        ("accuracy => 1", 10, "no part"),
        ("(accuracy > 1", 14, "closing"),
        ("accuracy > 1 loss < 2", 14, "not expected"),
        ("accuracy > 1e999", 12, "too large"),
        ("1 + not x > 2", 5, "number"),
        ("", 1, "ends"),
        ("(" * 100 + "x > 1", 65, "deep"),
    ],
)
def test_a_syntax_error_points_at_its_column(gate: str, column: int, word: str) -> None:
    with pytest.raises(ProjectError) as caught:
        parse(gate, place="lading.toml:12")
    assert f"column {column}:" in caught.value.message
    assert word in caught.value.message
    assert caught.value.message.splitlines()[-1] == "  " + " " * (column - 1) + "^"
    assert caught.value.place == "lading.toml:12"


def test_every_term_is_explained_even_when_the_first_decides() -> None:
    verdict = evaluate("accuracy > 0.95 or loss < 0.1", {"accuracy": 0.97})
    assert [str(term) for term in verdict.terms] == [
        "accuracy 0.97 > 0.95 ✓",
        "loss ? < 0.1 ? (no value for loss)",
    ]


def test_exit_codes_of_the_outcomes() -> None:
    enforce(evaluate("a > 0", {"a": 1}))
    with pytest.raises(GateFailed) as failed:
        enforce(evaluate("a > 0", {"a": 0}))
    with pytest.raises(GateInconclusive) as unsure:
        enforce(evaluate("a > 0", {}))
    assert (failed.value.exit_status, unsure.value.exit_status) == (5, 6)


def test_names_that_only_begin_like_a_keyword_are_metrics() -> None:
    assert metric_names(parse("android > notes or oracle < 1")) == ("android", "notes", "oracle")
