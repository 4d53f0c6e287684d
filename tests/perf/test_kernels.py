"""The comparison of levels: every metric, at levels that this machine has."""

from __future__ import annotations

from iqa.catalogue import METRICS
from iqa.simd.levels import available
from perf.kernels.levels import compare, tasks


def test_every_metric_has_a_row_with_a_time_for_each_level() -> None:
    levels = [level.name for level in available()[:1]]
    rows = compare(levels, 1)
    assert [row["task"] for row in rows] == list(tasks())
    assert {str(row["task"]).partition(" ")[0] for row in rows} == {each.name for each in METRICS}
    for row in rows:
        assert float(row[f"{levels[-1]} ms"]) > 0
        assert row[f"{levels[-1]} ratio"] == 1
