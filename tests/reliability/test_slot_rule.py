"""A slot that Triton still reads is never handed on: requests are given up under load, and every
score of the others is checked.

The slots of the service under test are so few that each is wanted again at once.
"""

from __future__ import annotations

import asyncio
from itertools import cycle

from perf.load import faults
from perf.load.exchanges import Exchange
from perf.load.traffic import Traffic
from tests.conftest import RunningService

TIMEOUTS = (0.002, 0.005, 0.01, 0.02, 0.05)  # seconds; some pass while Triton reads
ANSWERS = 600


async def test_given_up_requests_do_not_change_the_scores_of_others(
    victim: RunningService, exchanges: list[Exchange]
) -> None:
    scored = [exchange for exchange in exchanges if isinstance(exchange.expected, tuple)]

    async def leave() -> None:
        for exchange, patience in cycle(zip(scored, cycle(TIMEOUTS), strict=False)):
            await faults.hang_up(victim.port, exchange, sent=1.0, patience=patience)

    leaving = [asyncio.create_task(leave()) for _ in range(2)]
    try:
        async with (
            Traffic(victim.url, scored, clients=6, timeouts=TIMEOUTS) as impatient,
            Traffic(victim.url, scored, clients=4) as patient,
        ):
            await patient.more(ANSWERS)
    finally:
        for task in leaving:
            task.cancel()
    assert patient.tally.right == patient.tally.total, patient.tally
    assert impatient.tally.wrong == []
    assert impatient.tally.lost == []
    assert impatient.tally.refused["deadline_exceeded"] > ANSWERS / 10, impatient.tally
