"""Behind a proxy that serves everything below a prefix: page and API documentation in a browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import RunningService, running

PREFIX = "/quality/v2"
OWN = {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding"}


@contextmanager
def proxy(upstream: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Cuts the prefix off the paths and adds headers; gives its own address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(404)
                return
            kept = ("accept", "content-type")
            answer = httpx.request(
                self.command,
                upstream + self.path.removeprefix(PREFIX),
                content=self.rfile.read(int(self.headers.get("Content-Length", 0))),
                headers={name: self.headers[name] for name in kept if name in self.headers}
                | headers,
            )
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in OWN:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = answer  # noqa: N815 as the base class calls them

        def log_message(self, *_: object) -> None:
            """Nothing is to be said."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("options", "trusted", "headers"),
    [
        ([f"--root-path={PREFIX}"], "", {}),
        ([], "127.0.0.1", {"X-Forwarded-Prefix": PREFIX}),
    ],
)
def test_page_and_documentation_work_below_a_prefix(
    service: RunningService, browser: Browser, tmp_path: Path,
    options: list[str], trusted: str, headers: Mapping[str, str],
) -> None:  # fmt: skip
    elsewhere = ["--workers=1", f"--triton-url={service.grpc}", *options]
    with (
        running(tmp_path / "log", *elsewhere, IQA_TRUSTED_PROXIES=trusted) as front,
        proxy(front.url, headers) as url,
        browser.new_context() as context,
    ):
        page = context.new_page()
        requested: list[str] = []
        page.on("request", lambda sent: requested.append(sent.url))
        page.goto(f"{url}{PREFIX}/ui")
        page.get_by_role("button", name="Try a picture").click()
        expect(page.locator("#chosen")).to_contain_text("distorted.jpg")
        assert float(page.locator("#score").inner_text()) > 40

        page.goto(f"{url}{PREFIX}/")
        call = page.locator(".opblock").filter(has_text="/healthz")
        call.locator(".opblock-summary-control").click()
        call.get_by_role("button", name="Try it out").click()
        call.get_by_role("button", name="Execute").click()
        expect(call.locator(".live-responses-table .response-col_status").last).to_have_text("200")
        link = page.get_by_role("link", name="Look at pictures")
        assert link.evaluate("link => link.href") == f"{url}{PREFIX}/ui/"
        own = (f"{url}{PREFIX}/", f"blob:{url}/", "data:")
        assert [each for each in requested[1:] if not each.startswith(own)] == []
