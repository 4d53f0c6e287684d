"""What is admitted is bounded, and what is held is held exactly as long as somebody works on it."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import ClientDisconnect

from gateway.admission import SPEED, Admission
from gateway.deadline import HUNG_UP, Deadline
from gateway.http.problems import Problem
from gateway.observability.metrics import IN_FLIGHT, MEGAPIXELS

MEGAPIXEL = 1_000_000


def assert_refused(
    admission: Admission, *, pixels: int = 0, declared_bytes: int = 0, retry_after: int = 1
) -> None:
    with (
        pytest.raises(Problem, match="overloaded") as caught,
        admission.admit(declared_bytes=declared_bytes) as room,
    ):
        room.take(1, pixels)
    assert caught.value.retry_after == retry_after


def test_work_is_bounded() -> None:
    admission = Admission(max_megapixels=3, max_held_bytes=100)
    with admission.admit() as room:
        room.take(1, 2 * MEGAPIXEL)
        assert_refused(admission, pixels=MEGAPIXEL + 1)
        with admission.admit() as other:
            other.take(1, MEGAPIXEL)
            assert admission.pixels == 3 * MEGAPIXEL
            assert_refused(admission)  # before its upload is read
    assert admission.pixels == 0


def test_retry_after_grows_with_the_queue() -> None:
    admission = Admission(max_megapixels=2000, max_held_bytes=100)
    with admission.admit() as room:
        room.take(1, 2 * 3 * SPEED)
        assert_refused(admission, pixels=2000 * MEGAPIXEL, retry_after=3)


def test_what_never_fits_is_told_so() -> None:
    admission = Admission(max_megapixels=3, max_held_bytes=100)
    with (
        admission.admit() as room,
        pytest.raises(Problem, match=r"too_many_pixels.*7 megapixels.*6.*IQA_MAX_MEGAPIXELS"),
    ):
        room.take(2, 7 * MEGAPIXEL)
    assert admission.pixels == 0


@pytest.mark.parametrize(("images", "megapixels"), [(1, 9), (2, 6)])
def test_what_is_more_than_the_limit_is_let_in_alone(images: int, megapixels: int) -> None:
    admission = Admission(max_megapixels=3, max_held_bytes=100)
    with admission.admit() as room:
        with admission.admit() as other:
            other.take(1, 1)
            with pytest.raises(Problem, match="overloaded"):
                room.take(images, megapixels * MEGAPIXEL)
        room.take(images, megapixels * MEGAPIXEL)
        assert_refused(admission, pixels=1)


def test_bytes_are_held_as_they_come_not_as_they_are_declared() -> None:
    admission = Admission(max_megapixels=3, max_held_bytes=100)
    with admission.admit(declared_bytes=90) as slow:
        slow.hold(1)
        with admission.admit(declared_bytes=90) as other:
            other.hold(60)
            slow.hold(39)
            with pytest.raises(Problem, match="overloaded"):
                slow.hold(1)
            assert_refused(admission, declared_bytes=1)
        assert admission.held_bytes == 40
    assert admission.held_bytes == 0


async def test_work_that_outlives_its_request_keeps_its_room() -> None:
    admission = Admission(max_megapixels=1, max_held_bytes=100)
    work: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with admission.admit() as room:
        room.take(1, MEGAPIXEL)
        room.hold(100)
        assert room.until(work) is work
    assert_refused(admission)
    assert_refused(admission, declared_bytes=1)
    work.set_result(None)
    await asyncio.sleep(0)
    assert (admission.pixels, admission.held_bytes) == (0, 0)


def test_what_is_in_work_is_shown_and_gone_afterwards() -> None:
    def shown() -> list[float]:
        return [gauge.collect()[0].samples[0].value for gauge in (IN_FLIGHT, MEGAPIXELS)]

    before = shown()
    with Admission(max_megapixels=8, max_held_bytes=100).admit() as room:
        room.take(3, 2 * MEGAPIXEL)
        assert shown() == [before[0] + 3, before[1] + 2]
    assert shown() == before


def test_a_deadline_ends_when_time_is_up_or_nobody_waits() -> None:
    state: dict[str, object] = {}
    assert 9 < Deadline(10, state).remaining() <= 10
    with pytest.raises(Problem, match="deadline_exceeded"):
        Deadline(0, state).remaining()
    state[HUNG_UP] = True
    with pytest.raises(ClientDisconnect):
        Deadline(10, state).remaining()
