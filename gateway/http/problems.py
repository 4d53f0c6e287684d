"""Errors as clients see them: `application/problem+json` (RFC 9457) with a stable code."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import JSONResponse

STATUS = {
    "invalid_image": 400,
    "image_too_small": 400,
    "size_mismatch": 400,
    "score_undefined": 400,
    "unauthorized": 401,
    "not_found": 404,
    "method_not_allowed": 405,
    "upload_too_large": 413,
    "too_many_pixels": 413,
    "unsupported_format": 415,
    "invalid_request": 422,
    "internal_error": 500,
    "out_of_memory": 503,
    "overloaded": 503,
    "backend_unavailable": 503,
    "deadline_exceeded": 504,
}


class Problem(Exception):  # noqa: N818  (RFC 9457 calls it a problem)
    """A request, or one item of a batch, that gets no score.

    Attributes:
        code: a key of `STATUS`.
        detail: a sentence for the client that says what to do; nothing internal.
        retry_after: seconds, sent as `Retry-After`.
    """

    def __init__(self, code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return STATUS[self.code]

    def content(self, request_id: str) -> dict[str, str | int]:
        """The members of the problem document."""
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "request_id": request_id,
        }

    def response(self, request_id: str) -> JSONResponse:
        """The answer that tells the client."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return JSONResponse(
            self.content(request_id), self.status, headers, media_type="application/problem+json"
        )


def out_of_memory() -> Problem:
    """The problem of an image for which there is no room at the moment."""
    return Problem("out_of_memory", "No memory for this size now: try again, or smaller.")
