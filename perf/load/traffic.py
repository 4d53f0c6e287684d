"""Clients that keep a service busy, and judge every answer that they get, or do not get."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

import httpx

from perf.load.exchanges import Exchange, RefusedError, WrongAnswerError

PATIENCE = 60.0  # seconds without an answer after which a request counts as lost
PAUSE = 0.05  # seconds before a client goes on that was refused, or found nobody
CALM = 2.0  # seconds without trouble that say that a service has recovered


@dataclass
class Tally:
    """What became of the requests.

    Attributes:
        right: answered as they must be.
        refused: told clearly that there is no answer now, by the problem's code.
        broken: connections refused or lost, by the kind of error.
        lost: no answer at all, in spite of patience.
        wrong: any other answer; above all, a wrong score.
        longest: seconds that a right answer took.
    """

    right: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    longest: float = 0.0

    @property
    def total(self) -> int:
        """Requests that have ended."""
        troubled = self.refused.total() + self.broken.total()
        return self.right + troubled + len(self.lost) + len(self.wrong)

    def __str__(self) -> str:
        """In a sentence."""
        refused = ", ".join(f"{count} {code}" for code, count in sorted(self.refused.items()))
        return (
            f"{self.right} right (longest {self.longest:.2f} s), {len(self.wrong)} wrong, "
            f"{len(self.lost)} lost, {self.broken.total()} broken, refused: {refused or 'none'}"
        )


class Traffic:
    """Load on a service while the block runs; at its end every request that was sent has ended.

    Attributes:
        tally: what became of the requests so far.
    """

    def __init__(
        self,
        url: str,
        exchanges: Sequence[Exchange],
        *,
        clients: int = 8,
        timeouts: Sequence[float | None] = (None,),
    ) -> None:
        """Describe it.

        Args:
            url: of the service.
            exchanges: sent in rotation.
            clients: requests on their way at once.
            timeouts: seconds, sent as X-Request-Timeout, in rotation; None: not sent.
        """
        self.tally = Tally()
        self._url = url
        self._exchanges = exchanges
        self._clients = clients
        self._timeouts = timeouts
        self._serial = count()
        self._running = True
        self._last_trouble = 0.0
        self._last_right = 0.0

    async def __aenter__(self) -> Traffic:
        """Start the clients."""
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let each client end with the answer that it waits for."""
        self._running = False
        await asyncio.gather(*self._tasks)

    async def more(self, right: int) -> None:
        """Wait until so many more requests were answered rightly.

        Raises:
            TimeoutError: none was for as long as a request may take.
        """
        wanted = self.tally.right + right
        since = time.monotonic()
        while self.tally.right < wanted:
            if time.monotonic() - max(since, self._last_right) > PATIENCE:
                raise TimeoutError(f"no right answer in {PATIENCE:g} seconds: {self.tally}")
            await asyncio.sleep(0.02)

    async def recovery(self, since: float) -> float:
        """Wait until all is well; seconds from `since` (`time.monotonic`) to the last trouble.

        Where there was none, seconds to the first right answer.

        Raises:
            TimeoutError: it does not recover within twice the patience.
        """
        while self._last_right < since:
            await self._wait(since)
        first_right = self._last_right
        while time.monotonic() - max(self._last_trouble, since) < CALM:
            await self._wait(since)
        await self.more(2 * len(self._exchanges))
        if time.monotonic() - self._last_trouble < CALM:
            return await self.recovery(since)
        return max(self._last_trouble, first_right) - since

    async def _wait(self, since: float) -> None:
        if time.monotonic() - since > 2 * PATIENCE:
            raise TimeoutError(f"no recovery: {self.tally}")
        await asyncio.sleep(0.02)

    async def _client(self) -> None:
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE) as client:
            while self._running:
                if not await self._ask(client, next(self._serial)):
                    self._last_trouble = time.monotonic()
                    await asyncio.sleep(PAUSE)

    async def _ask(self, client: httpx.AsyncClient, number: int) -> bool:
        """Send a request; whether the answer was right."""
        exchange = self._exchanges[number % len(self._exchanges)]
        timeout = self._timeouts[number % len(self._timeouts)]
        headers = {"Content-Type": exchange.content_type}
        if timeout is not None:
            headers["X-Request-Timeout"] = str(timeout)
        started = time.monotonic()
        try:
            answer = await client.post(exchange.path, content=exchange.body, headers=headers)
            content_type = answer.headers.get("content-type", "")
            exchange.check(answer.status_code, content_type, answer.content)
        except httpx.TimeoutException as error:
            self.tally.lost.append(f"{exchange.path}: {type(error).__name__}")
        except httpx.TransportError as error:
            self.tally.broken[type(error).__name__] += 1
        except RefusedError as error:
            self.tally.refused[str(error)] += 1
        except WrongAnswerError as error:
            self.tally.wrong.append(str(error))
        else:
            self.tally.right += 1
            self._last_right = time.monotonic()
            self.tally.longest = max(self.tally.longest, self._last_right - started)
            return True
        return False
