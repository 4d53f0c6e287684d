"""Evaluates the PromQL of the alerts, and no more of the language, over made-up series."""

from __future__ import annotations

import math
import operator
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import promql_parser

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}


@dataclass(frozen=True)
class Series:
    """One time series.

    Attributes:
        name: of its metric.
        labels: of it.
        value: what it is, for a gauge.
        rate: what it grows by in a second, for a counter.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float = 0
    rate: float = 0


def evaluate(expression: str, series: list[Series]) -> list[dict[str, str]]:
    """The labels of what the expression selects; an alert fires for each."""
    result = _evaluate(promql_parser.parse(expression), series)
    return [dict(labels) for labels in result]


def _evaluate(node: Any, series: list[Series]) -> Vector:
    match node:
        case promql_parser.ParenExpr():
            return _evaluate(node.expr, series)
        case promql_parser.VectorSelector():
            return {_labels(each): each.value for each in _select(node, series)}
        case promql_parser.Call(func=function) if function.name == "rate":
            selector = node.args[0].vector_selector
            return {_labels(each): each.rate for each in _select(selector, series)}
        case promql_parser.Call(func=function) if function.name == "absent":
            return {} if _evaluate(node.args[0], series) else {frozenset(): 1}
        case promql_parser.AggregateExpr() if str(node.op) == "sum":
            sums: Vector = defaultdict(float)
            by = node.modifier.labels if node.modifier else []
            for labels, value in _evaluate(node.expr, series).items():
                sums[frozenset(pair for pair in labels if pair[0] in by)] += value
            return sums
        case promql_parser.BinaryExpr():
            return _binary(node, series)
    raise NotImplementedError(f"{node!r}: teach it to {__name__}")


def _binary(node: Any, series: list[Series]) -> Vector:
    left = _evaluate(node.lhs, series)
    operation = str(node.op)
    if isinstance(node.rhs, promql_parser.NumberLiteral) and operation in COMPARISONS:
        holds = COMPARISONS[operation]
        return {labels: value for labels, value in left.items() if holds(value, node.rhs.val)}
    right = _evaluate(node.rhs, series)
    if operation == "or":
        return right | left
    if operation == "/":
        both = left.keys() & right.keys()
        return {each: left[each] / right[each] if right[each] else math.nan for each in both}
    raise NotImplementedError(f"{operation}: teach it to {__name__}")


def _select(selector: Any, series: list[Series]) -> list[Series]:
    return [
        each
        for each in series
        if each.name == selector.name
        and all(_matches(matcher, each) for matcher in selector.matchers.matchers)
    ]


def _matches(matcher: Any, series: Series) -> bool:
    value = series.labels.get(matcher.name, "")
    operation = str(matcher.op).removeprefix("MatchOp.")
    if operation in ("Re", "NotRe"):
        return bool(re.fullmatch(matcher.value, value)) is (operation == "Re")
    return (value == matcher.value) is (operation == "Equal")


def _labels(series: Series) -> Labels:
    return frozenset(series.labels.items())
