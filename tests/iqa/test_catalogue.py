"""Metrics are found by name, and those that are chosen keep their order."""

import pytest

from iqa.catalogue import METRICS, chosen, metric


def test_each_metric_is_found_by_its_name() -> None:
    assert [metric(each.name) for each in METRICS] == list(METRICS)
    with pytest.raises(KeyError):
        metric("niqe")


def test_all_are_chosen_unless_some_are_named() -> None:
    assert chosen([]) == METRICS
    assert chosen([METRICS[1].name, METRICS[0].name]) == METRICS[:2]
    with pytest.raises(KeyError, match="niqe"):
        chosen(["brisque", "niqe"])
