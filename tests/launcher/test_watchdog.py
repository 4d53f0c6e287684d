"""Only a Triton that finishes nothing though it has work is killed, and one that lost a process."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from launcher import watchdog
from launcher.child import Child
from launcher.watchdog import INTERVAL, PATIENCE, START_PATIENCE, TIMEOUT, Watchdog

METRICS = """\
# HELP nv_inference_exec_count Number of model executions performed
# TYPE nv_inference_exec_count counter
nv_inference_exec_count{{model="brisque",version="1"}} {brisque}
nv_inference_exec_count{{model="ms_ssim",version="1"}} {ms_ssim}
# HELP nv_inference_pending_request_count Instantaneous number of pending requests
# TYPE nv_inference_pending_request_count gauge
nv_inference_pending_request_count{{model="brisque",version="1"}} {brisque_waiting}
nv_inference_pending_request_count{{model="ms_ssim",version="1"}} {ms_ssim_waiting}
"""


class Scene:
    """A Triton's process, what it counts, and time that passes as told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.is_ready = False
        self.counts = {"brisque": 0, "ms_ssim": 0, "brisque_waiting": 0, "ms_ssim_waiting": 0}
        self.answers = True

    def monotonic(self) -> float:
        return self.now

    def start(self) -> None:
        scene = self

        class Metrics(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if scene.answers else 500)
                self.end_headers()
                self.wfile.write(METRICS.format(**scene.counts).encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Metrics)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        code = "import time; print('up', flush=True); time.sleep(600)"
        self.triton = Child("Triton", [sys.executable, "-c", code], {}, echo=re.compile("(?!)"))
        self.triton.start()
        url = f"http://127.0.0.1:{self._server.server_address[1]}/metrics"
        self.watchdog = Watchdog(self.triton, url, lambda: self.is_ready)

    def stop(self) -> None:
        self.triton.kill()
        self._server.shutdown()
        self._server.server_close()

    def lives_through(self, seconds: float, **each_second: int) -> bool:
        """Let time pass, in which the counts grow; whether Triton was left alone."""
        for _ in range(round(seconds)):
            self.now += 1.0
            for name, growth in each_second.items():
                self.counts[name] += growth
            self.watchdog.look()
        return self.triton.is_alive()


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    scene = Scene()
    monkeypatch.setattr(watchdog, "time", scene)
    scene.start()
    yield scene
    scene.stop()


def test_who_is_ready_is_left_alone(scene: Scene) -> None:
    scene.is_ready = True
    scene.counts["brisque_waiting"] = 5
    assert scene.lives_through(5 * PATIENCE)


def test_who_is_busy_is_left_alone_though_not_ready(scene: Scene) -> None:
    scene.counts |= {"brisque_waiting": 900, "ms_ssim_waiting": 900}
    assert scene.lives_through(5 * PATIENCE, brisque=1, ms_ssim=1)


def test_who_is_slow_but_finishes_something_is_left_alone(scene: Scene) -> None:
    scene.counts["brisque_waiting"] = 900
    for _ in range(5):
        assert scene.lives_through(PATIENCE - 2)
        assert scene.lives_through(1, brisque=1)


def test_who_has_no_work_is_left_alone(scene: Scene) -> None:
    """The gateway may have troubles of its own."""
    assert scene.lives_through(5 * PATIENCE)


def test_a_model_that_finishes_nothing_though_it_has_work_is_a_reason(scene: Scene) -> None:
    scene.counts |= {"brisque_waiting": 3, "ms_ssim_waiting": 3}
    assert scene.lives_through(PATIENCE, ms_ssim=1)
    assert not scene.lives_through(3 * INTERVAL, ms_ssim=1)


def test_no_answer_at_all_is_a_reason(scene: Scene) -> None:
    assert scene.lives_through(2)
    scene.answers = False
    assert scene.lives_through(PATIENCE)
    assert not scene.lives_through(3 * INTERVAL)


def test_who_is_starting_has_more_time(scene: Scene) -> None:
    """Triton answers nothing while it loads models."""
    scene.answers = False
    assert scene.lives_through(START_PATIENCE)
    assert not scene.lives_through(3 * INTERVAL)
    scene.triton.start()
    scene.watchdog.reset()
    assert scene.lives_through(2 * PATIENCE)


def test_troubles_that_pass_are_forgotten(scene: Scene) -> None:
    scene.answers = False
    for _ in range(3):
        assert scene.lives_through(PATIENCE - 2)
        scene.is_ready = True
        assert scene.lives_through(2)
        scene.is_ready = False


def test_a_question_takes_less_than_the_patience() -> None:
    assert 2 * TIMEOUT < PATIENCE
