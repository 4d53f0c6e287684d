"""What the API page says about each route: its fields, its answers, its errors."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from gateway import maps
from gateway.http.problems import STATUS, Problem
from iqa.catalogue import METRICS
from iqa.metric import Map, Metric

DESCRIPTION = """Image-quality scores. Send pictures as `multipart/form-data`; JPEG, PNG, WebP, BMP,
TIFF, GIF (first frame) and AVIF are read. EXIF orientation is applied, transparency is dropped,
16-bit greyscale is scaled to 8 bits. Scores are never clamped.

**[Look at pictures and their scores in the browser](/ui/)**

Errors are `application/problem+json` with a stable `code`. `X-Request-Timeout` (seconds) shortens
or extends how long an answer may take; `X-Request-ID` is taken over into log and answer."""

SENTENCES = {
    "unauthorized": "Send a valid key: Authorization: Bearer <key>.",
    "invalid_image": "The image is damaged or incomplete: send it again.",
    "image_too_small": "MS-SSIM needs sides of at least 161 pixels, not 64.",
    "size_mismatch": "Send images of the same size, not 768x512 and 512x768.",
    "score_undefined": "BRISQUE is undefined on an image without contrast.",
    "upload_too_large": "Send a file of at most 33554432 bytes.",
    "too_many_pixels": "Send an image of at most 50000000 pixels.",
    "unsupported_format": "Send an image in one of these formats: JPEG, PNG, WEBP, BMP, TIFF, ...",
    "invalid_request": "Send an image in the form field image.",
    "overloaded": "The service is busy: try again shortly.",
    "out_of_memory": "No memory for this size now: try again, or smaller.",
    "backend_unavailable": "The scoring backend is not available: try again.",
    "deadline_exceeded": "The answer took too long: try again, or allow more time.",
}


SCORE = {"type": "number"}
FILE = {"type": "string", "format": "binary"}
HEADERS = [
    {
        "name": "X-Request-Timeout",
        "in": "header",
        "description": "Seconds until `deadline_exceeded`, instead of the service's own.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "description": "For log and answer, if it is of letters, digits and `_.:-`.",
        "schema": {"type": "string"},
    },
]


def describe_route() -> dict[str, Any]:
    """Documentation of the list of metrics."""
    schema = _object(metrics={"type": "array", "items": {"type": "object"}})
    answer = {"metrics": [{"name": metric.title} for metric in METRICS]}
    return {
        "summary": "The metrics, what they mean, and what computes them",
        "responses": _responses(schema, answer, 503),
    }


def single_route(metric: Metric) -> dict[str, Any]:
    """Documentation of a metric's single route."""
    return {
        "summary": f"{metric.title} of one {_unit(metric)}",
        "description": f"{metric.summary} {_meaning(metric)}",
        "tags": [metric.title],
        "openapi_extra": _form(_files(metric)),
        "responses": _responses(
            _object(score=SCORE), {"score": metric.example}, 400, 413, 415, 422, 503, 504
        ),
    }


def map_route(metric: Metric, shown: Map) -> dict[str, Any]:
    """Documentation of a metric's map route."""
    terms = ", `X-Map-Terms` (what the score is made of)" if shown.with_details else ""
    success = {
        "description": "The map; `X-Map-Score` has the score, `X-Map-Shape` height and width, "
        f"`X-Map-Low` and `X-Map-High` the values of the first and the last colour{terms}.",
        "content": {maps.PNG: {"schema": FILE}, maps.RAW: {"schema": FILE}},
    }
    return {
        "summary": f"{metric.title} map of one {_unit(metric)}: where the score comes from",
        "description": f"Shows {shown.summary}. A PNG in the colours of inferno, from {shown.dark} "
        f"to {shown.bright}; with `Accept: {maps.RAW}` the numbers, little-endian float32 by rows.",
        "tags": [metric.title],
        "openapi_extra": _form(_files(metric)),
        "responses": {200: success, **problem_responses(400, 413, 415, 422, 503, 504)},
        "response_class": Response,
    }


def batch_route(metric: Metric, most: int) -> dict[str, Any]:
    """Documentation of a metric's batch route, which takes so many images or pairs."""
    files = {"type": "array", "items": FILE, "minItems": 1, "maxItems": most}
    name = {"type": "string"}
    entry = {"anyOf": [_object(filename=name, score=SCORE), _object(filename=name, error=name)]}
    schema = _object(results={"type": "array", "items": entry})
    answer = {
        "results": [
            {"filename": "one.jpg", "score": metric.example},
            {"filename": "two.jpg", "error": f"invalid_image: {SENTENCES['invalid_image']}"},
        ]
    }
    pairing = "" if len(metric.fields) == 1 else " Send as many of each, or one original for all."
    return {
        "summary": f"{metric.title} of many {_unit(metric)}s",
        "description": f"Results come in upload order; one failure spoils no other.{pairing}",
        "tags": [metric.title],
        "openapi_extra": _form(dict.fromkeys(metric.batch_fields, files)),
        "responses": _responses(schema, answer, 413, 422, 503, 504),
    }


def _unit(metric: Metric) -> str:
    return "picture" if len(metric.fields) == 1 else "pair"


def _meaning(metric: Metric) -> str:
    low, high = metric.usual_range
    return (
        f"{metric.direction.capitalize()}, usually {low} to {high}. Colour: {metric.colour}. "
        f"Sides of at least {metric.minimum_side} pixels."
    )


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of those statuses."""
    return {status: _problems(status) for status in statuses}


def _files(metric: Metric) -> dict[str, Any]:
    return dict.fromkeys(metric.fields, FILE)


def _form(properties: dict[str, Any]) -> dict[str, Any]:
    schema = _object(**properties)
    body = {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
    return {"requestBody": body, "parameters": HEADERS}


def _object(**properties: Any) -> dict[str, Any]:
    """Schema of an object that has all of these members and no other."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _responses(
    schema: dict[str, Any], answer: dict[str, Any], *statuses: int
) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": schema, "example": answer}}
    return {200: {"description": "OK", "content": content}, **problem_responses(*statuses)}


def _problems(status: int) -> dict[str, Any]:
    codes = [code for code in SENTENCES if STATUS[code] == status]
    contents = {code: Problem(code, SENTENCES[code]).content("0f3c...") for code in codes}
    text = {"type": "string"}
    schema = _object(
        type=text,
        title=text,
        status={"const": status},
        code={"enum": codes},
        detail=text,
        request_id=text,
    )
    examples = {code: {"value": content} for code, content in contents.items()}
    return {
        "description": " or ".join(f"`{code}`" for code in codes),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }


UNAUTHORIZED = problem_responses(401)
"""What every route answers to a call without a key, where keys are asked for."""
