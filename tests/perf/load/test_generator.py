"""The load generator against small real servers: what it sends, counts and refuses."""

import json
import threading
from contextlib import contextmanager
from email.parser import BytesParser

import numpy as np
import pytest

from iqa.catalogue import metric
from perf.load.calls import Call, calls, score
from perf.load.exchanges import RefusedError, WrongAnswerError
from perf.load.generator import Meter, ask, measure
from perf.load.pictures import picture_set, read_pixels
from tests.perf.load.serving import serving

METER = Meter(cpu_seconds=lambda: 0.0, memory=lambda: 0)


@contextmanager
def serving_scores(answer):
    """A server on a free port; `answer` makes status and score of path and form fields."""

    def answered(path, headers, body):
        head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
        fields = {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in BytesParser().parsebytes(head + body).get_payload()
        }
        status, value = answer(path, fields)
        return status, "application/json", json.dumps({"score": value}).encode()

    with serving(answered) as port:
        yield port


BRISQUE, MS_SSIM = metric("brisque"), metric("ms_ssim")
FILES = [b"first\r\n--", b"second", b"third"]
NUMBERED = [Call(BRISQUE, (file,), float(index)) for index, file in enumerate(FILES)]


def by_number(_, fields):
    return 200, FILES.index(fields["image"])


def test_a_request_has_the_route_and_the_fields_of_its_metric():
    seen = []

    def answer(path, fields):
        seen.append((path, fields))
        return 200, 0.5

    with serving_scores(answer) as port:
        ask(port, Call(MS_SSIM, (b"one", b"two"), 0.5), 0)
    assert seen == [
        ("/api/v1/iqa/fr/ms-ssim/", {"original_image": b"one", "distorted_image": b"two"})
    ]


def test_every_client_has_one_request_on_its_way_and_each_picture_its_turn():
    lock, waiting, most, sent = threading.Lock(), 0, 0, []
    all_four = threading.Barrier(4)

    def answer(path, fields):
        nonlocal waiting, most
        with lock:
            waiting += 1
            most = max(most, waiting)
            sent.append(fields["image"])
            first = len(sent) <= 4
        if first:  # answered only once every client has sent one
            all_four.wait(timeout=60)
        with lock:
            waiting -= 1
        return by_number(path, fields)

    with serving_scores(answer) as port:
        result = measure(port, NUMBERED, METER, clients=4, seconds=0.2, tolerance=0)
    assert result.clients == most == 4
    assert waiting == 0, "a measurement ends with its last answer"
    assert result.seconds > 0.19  # the event loop counts milliseconds
    assert 4 <= len(result.latencies) < len(sent)
    counts = [sent.count(file) for file in FILES]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize(
    ("status", "value", "error"), [(200, 0.1, WrongAnswerError), (503, 0.0, RefusedError)]
)
def test_a_bad_answer_ends_the_measurement(status, value, error):
    def answer(path, fields):
        return (status, value) if fields["image"] == FILES[2] else by_number(path, fields)

    with serving_scores(answer) as port, pytest.raises(error):
        measure(port, NUMBERED, METER, clients=2, seconds=0.1, tolerance=0.01)
    with serving_scores(answer) as port, pytest.raises(error):
        ask(port, NUMBERED[2], 0.01)


def test_a_service_that_is_not_there_is_an_error():
    with serving_scores(by_number) as port:
        pass
    with pytest.raises(OSError, match=r"refused|reset"):
        measure(port, NUMBERED, METER, clients=2, seconds=0.1, tolerance=0)


def test_calls_carry_the_scores_of_their_pictures():
    pairs = picture_set(width=192, height=176)[:4]
    blind, paired = calls(BRISQUE, pairs), calls(MS_SSIM, pairs)
    originals = dict.fromkeys(pair.original for pair in pairs)
    assert [call.files for call in blind] == [
        *((file,) for file in originals),
        *((pair.distorted,) for pair in pairs),
    ]
    assert [call.files for call in paired] == [(p.original, p.distorted) for p in pairs]
    for call in (*blind, *paired):
        assert call.expected == score(call.metric.name, *map(read_pixels, call.files))
    assert np.all([0 < call.expected < 1 for call in paired])
