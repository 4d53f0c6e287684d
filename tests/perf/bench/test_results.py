"""Medians, ratios and reports of measurements that are known."""

import csv
import json
from collections import Counter

import numpy as np
import pytest

from perf.bench.report import table, write_report
from perf.bench.results import Results
from perf.bench.stages import CALL_STAGES, STAGES, Counters
from perf.load.generator import Measurement


def measurement(rate, clients=50, latency=0.1):
    return Measurement(
        clients=clients,
        seconds=2.0,
        latencies=np.full(int(2 * rate), latency),
        server_cpu=rate * 2 * 0.003,
        client_cpu=rate * 2 * 0.0001,
        memory=int(300e6),
    )


@pytest.fixture
def results():
    results = Results()
    rates = {
        "service": (500, 250, 450),
        "in_process": (500, 500, 500),
        "piq_service": (40, 10, 25),
        "bare_loop": (625, 500, 500),
    }
    for model in ("brisque", "ms_ssim"):
        for name, values in rates.items():
            results.rounds[name, model] = [measurement(rate) for rate in values]
        results.sweep["service", model] = [measurement(200, 1, 0.005), measurement(480, 8)]
        results.sweep["bare_loop", model] = [measurement(320, 1, 0.003)]
        results.stages[model] = {"1": dict.fromkeys(STAGES, 0.5)}
        results.batches[model] = {"1": {"1": 100}, "50": {"1": 10, "8": 20}}
    return results


def test_ratios_are_medians_of_what_was_measured_in_the_same_round(results):
    ratios = results.ratios()
    assert ratios == {
        "brisque_vs_piq_service": pytest.approx(18),  # of 12.5, 25 and 18
        "ms_ssim_vs_piq_service": pytest.approx(18),
        "brisque_vs_in_process": pytest.approx(0.9),
        "ms_ssim_vs_in_process": pytest.approx(0.9),
        "brisque_vs_bare_loop": pytest.approx(0.8),
        "ms_ssim_vs_bare_loop": pytest.approx(0.8),
    }


def test_rows_have_medians_per_request(results):
    row = results.document()["rows"][0]
    assert (row["service"], row["metric"], row["clients"]) == ("service", "brisque", 50)
    assert row["requests_per_second"] == 450
    assert (row["p50_ms"], row["p99_ms"]) == (100, 100)
    assert row["cpu_ms_per_request"] == pytest.approx(3)
    assert row["client_cpu_ms_per_request"] == pytest.approx(0.1)
    assert row["memory_mb"] == 300
    assert row["vs_piq_service"] == pytest.approx(18)


def test_table_has_a_line_for_every_contender_and_the_latency_of_one_client(results):
    text = table(results.document())
    assert (
        "| this service | 450.0 | 100.0 | 100.0 | 3.00 | 300 | 18.00 | 0.90 | 0.80 |"
        in text.splitlines()
    )
    assert "One client, BRISQUE: 5.00 ms at the median; decode and kernel alone 3.00 ms." in text


def test_report_can_be_drawn_again_from_its_own_file(results, tmp_path):
    write_report(results.document(), tmp_path / "first")
    document = json.loads((tmp_path / "first" / "bench.json").read_text())
    write_report(document, tmp_path / "second")
    names = {path.name for path in (tmp_path / "second").iterdir()}
    plots = {"throughput.svg", "latency.svg", "batches.svg", "stages.svg"}
    assert names == plots | {"bench.json", "bench.csv"}
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    with (tmp_path / "second" / "bench.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 + 6
    assert rows[0]["requests_per_second"] == "450.0"


def test_counters_are_compared_over_a_period():
    before = Counters(10, dict.fromkeys(STAGES, 1.0), 1.0, Counter({1: 4, 8: 1}))
    after = Counters(30, dict.fromkeys(STAGES, 1.5), 7.0, Counter({1: 4, 8: 3, 2: 1}))
    counted = after - before
    assert counted.batches == {8: 2, 2: 1}
    # Four stages of half a second in calls, which requests spent six seconds on.
    expected = {stage: 25 * 3 if stage in CALL_STAGES else 25 for stage in STAGES}
    assert counted.milliseconds() == pytest.approx(expected)
