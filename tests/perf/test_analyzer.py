"""What perf_analyzer is given and what is read from its report."""

from base64 import b64decode

import numpy as np

from iqa.catalogue import metric
from perf.analyzer import input_data, parse
from perf.load.pictures import picture_set, read_pixels

# Written by the perf_analyzer of tritonclient 2.48 with --verbose-csv.
REPORT = """\
Concurrency,Inferences/Second,Client Send,Network+Server Send/Recv,Server Queue,\
Server Compute Input,Server Compute Infer,Server Compute Output,Client Recv,p50 latency,\
p90 latency,p95 latency,p99 latency,Avg latency,request/response,response wait
5,98.6446,486,16628,11466,221,6427,444,3,23401,50046,60014,540810,35678,489,35144
"""


def test_pixels_survive_the_way_into_the_input_file():
    pairs = picture_set(width=180, height=170)[:2]
    data = input_data(metric("ms_ssim"), pairs)["data"]
    assert len(data) == 2
    for entry, pair in zip(data, pairs, strict=True):
        for name, file in (("REFERENCE", pair.original), ("DISTORTED", pair.distorted)):
            assert entry[name]["shape"] == [170, 180, 3]
            raw = b64decode(entry[name]["content"]["b64"])
            np.testing.assert_array_equal(
                np.frombuffer(raw, np.uint8).reshape(170, 180, 3), read_pixels(file)
            )


def test_files_are_sent_as_they_are():
    (pair,) = picture_set(width=180, height=170)[:1]
    (entry,) = input_data(metric("ms_ssim"), [pair], as_files=True)["data"]
    for name, file in (("REFERENCE_FILE", pair.original), ("DISTORTED_FILE", pair.distorted)):
        assert entry[name]["shape"] == [len(file)]
        assert b64decode(entry[name]["content"]["b64"]) == file


def test_report_is_read_by_the_names_of_its_columns():
    assert parse(REPORT) == [
        {
            "concurrency": "5",
            "inferences_per_second": "98.6446",
            "p50_us": "23401",
            "p99_us": "540810",
            "queue_us": "11466",
            "compute_us": "6427",
        }
    ]
