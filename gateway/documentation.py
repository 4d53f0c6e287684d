"""What the API page says about each route: its fields, its answers, its errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from decoding import CONTRACT, FORMATS, RULES
from gateway import maps
from gateway.http.problems import STATUS, Problem
from iqa.catalogue import METRICS
from iqa.metric import Map, Metric

DESCRIPTION = f"""Image-quality scores. Send pictures as `multipart/form-data`. Formats that are
read: {", ".join(FORMATS)}. A picture is scored as a person sees it: {"; ".join(RULES.values())}.
Scores are never clamped.

**[Look at pictures and their scores in the browser](ui/)**

Errors are `application/problem+json` with a stable `code`. `X-Request-Timeout` (seconds) shortens
or extends how long an answer may take; `X-Request-ID` is taken over into log and answer."""

SENTENCES = {
    "unauthorized": "Send a valid key: Authorization: Bearer <key>.",
    "invalid_image": "The image is damaged or incomplete: send it again.",
    "image_too_small": "SSIM needs sides of at least 11 pixels, not 8. PSNR takes smaller "
    "pictures.",
    "size_mismatch": "Send images of the same size, not 768x512 and 512x768.",
    "score_undefined": "BRISQUE is undefined on an image that is equally bright everywhere.",
    "upload_too_large": "Send a file of at most 134217728 bytes (IQA_MAX_UPLOAD_BYTES).",
    "too_many_pixels": "Send an image of at most 103000000 pixels.",
    "unsupported_format": "Send an image in one of these formats: JPEG, PNG, WEBP, BMP, TIFF, ...",
    "invalid_request": "Send an image in the form field image.",
    "overloaded": "The service is busy: try again shortly.",
    "out_of_memory": "No memory for this size now: try again, or smaller.",
    "backend_unavailable": "The scoring backend is not available: try again.",
    "deadline_exceeded": "The answer took too long: try again, or allow more time.",
}


# What a request may be refused for: as a whole, and for its image or pair.
REQUEST = (
    "upload_too_large", "unsupported_format", "invalid_request", "overloaded", "deadline_exceeded",
)  # fmt: skip
ITEM = ("invalid_image", "too_many_pixels", "out_of_memory", "backend_unavailable")

FILE = {
    "type": "string",
    "format": "binary",
    "description": "An image file, such as photo.jpg.",
}
HEADERS = [
    {
        "name": "X-Request-Timeout",
        "in": "header",
        "description": "Seconds until `deadline_exceeded`, instead of the service's own.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
        "example": 5,
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "description": "For log and answer, if it is of letters, digits and `_.:-`.",
        "schema": {"type": "string"},
        "example": "album-7.1",
    },
]


def describe_route() -> dict[str, Any]:
    """Documentation of the list of metrics."""
    anything = {"type": "object"}
    schema = _object(
        metrics={"type": "array", "items": anything},
        decoding=anything,
        cpu_level={
            "type": ["string", "null"],
            "description": "Vectors that the CPU kernels use; null where Triton is on a machine "
            "of its own, whose log says it.",
        },
    )
    answer = {
        "metrics": [{"id": metric.name, "name": metric.title} for metric in METRICS],
        "decoding": {"version": CONTRACT, **RULES},
        "cpu_level": "v4",
    }
    return {
        "summary": "The metrics, what they mean, and what computes them",
        "tags": ["Metrics"],
        "responses": _responses(schema, answer, "backend_unavailable"),
    }


def single_route(metric: Metric) -> dict[str, Any]:
    """Documentation of a metric's single route."""
    return {
        "summary": f"{metric.title} of one {_unit(metric)}",
        "description": f"{metric.summary} {_meaning(metric)}",
        "tags": [metric.title],
        "openapi_extra": _form(_files(metric)),
        "responses": _responses(
            _object(score=_score(metric)), {"score": metric.example}, *REQUEST, *_codes(metric)
        ),
    }


def several_route(metrics: Sequence[Metric]) -> dict[str, Any]:
    """Documentation of the route that computes several metrics of the same files."""
    names = [metric.name for metric in metrics]
    one = f"({'|'.join(names)})"
    chosen = {
        "type": "string",
        "pattern": f"^({one}(,{one})*)?$",
        "example": ",".join(names),
        "description": f"Which metrics, separated by commas: {', '.join(names)}. All by default.",
    }
    form = _form(_files(metrics[0]))
    schema = form["requestBody"]["content"]["multipart/form-data"]["schema"]
    schema["properties"] = {**schema["properties"], "metrics": chosen}
    scores = {"type": "object", "additionalProperties": {"type": "number"}}
    return {
        "summary": f"Several scores of one {_unit(metrics[0])}, which is decoded once",
        "tags": ["Several metrics"],
        "openapi_extra": form,
        "responses": _responses(
            _object(scores=scores),
            {"scores": {metric.name: metric.example for metric in metrics}},
            *REQUEST,
            *_codes(*metrics),
        ),
    }


def map_route(metric: Metric, shown: Map) -> dict[str, Any]:
    """Documentation of a metric's map route."""
    terms = ", `X-Map-Terms` (what the score is made of)" if shown.with_details else ""
    success = {
        "description": "The map; `X-Map-Score` has the score, `X-Map-Shape` height and width, "
        f"`X-Map-Low` and `X-Map-High` the values of the first and the last colour, "
        f"`X-Map-Places` the {maps.PLACES} tiles (left, top, width, height, of {maps.TILES} along "
        f"the longer side) whose means are nearest to `X-Map-High`{terms}.",
        "content": {maps.PNG: {"schema": FILE}, maps.RAW: {"schema": FILE}},
    }
    return {
        "summary": f"{metric.title} map of one {_unit(metric)}: where the score comes from",
        "description": f"Shows {shown.summary}. A PNG in the colours of inferno, from {shown.dark} "
        f"to {shown.bright}; with `Accept: {maps.RAW}` the numbers, little-endian float32 by rows.",
        "tags": [metric.title],
        "openapi_extra": _form(_files(metric)),
        "responses": {200: success, **problem_responses(*REQUEST, *_codes(metric))},
        "response_class": Response,
    }


def batch_route(metric: Metric, most: int) -> dict[str, Any]:
    """Documentation of a metric's batch route, which takes so many images or pairs."""
    files = {"type": "array", "items": FILE, "minItems": 1, "maxItems": most}
    name = {"type": "string", "example": "one.jpg"}
    error = {"type": "string", "example": f"invalid_image: {SENTENCES['invalid_image']}"}
    scored = _object(filename=name, score=_score(metric))
    entry = {"anyOf": [scored, _object(filename=name, error=error)]}
    schema = _object(results={"type": "array", "items": entry})
    answer = {
        "results": [
            {"filename": "one.jpg", "score": metric.example},
            {"filename": "two.jpg", "error": error["example"]},
        ]
    }
    pairing = "" if len(metric.fields) == 1 else " Send as many of each, or one original for all."
    return {
        "summary": f"{metric.title} of many {_unit(metric)}s",
        "description": f"Results come in upload order; one failure spoils no other.{pairing}",
        "tags": [metric.title],
        "openapi_extra": _form(dict.fromkeys(metric.batch_fields, files)),
        "responses": _responses(schema, answer, *REQUEST, "too_many_pixels"),
    }


def _unit(metric: Metric) -> str:
    return "picture" if len(metric.fields) == 1 else "pair"


def _meaning(metric: Metric) -> str:
    low, high = metric.usual_range
    return (
        f"{metric.direction.capitalize()}, usually {low} to {high}. Colour: {metric.colour}. "
        f"Sides of at least {metric.minimum_side} pixels."
    )


def _score(metric: Metric) -> dict[str, Any]:
    return {"type": "number", "example": metric.example}


def _codes(*metrics: Metric) -> tuple[str, ...]:
    """What an image or pair may be refused for."""
    own = {
        "image_too_small": any(metric.minimum_side > 1 for metric in metrics),
        "size_mismatch": any(len(metric.fields) > 1 for metric in metrics),
        "score_undefined": any(metric.undefined for metric in metrics),
    }
    return (*ITEM, *(code for code, can_be in own.items() if can_be))


def problem_responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The answers with these codes, by status."""
    statuses = sorted({STATUS[code] for code in codes})
    return {
        status: _problems(status, [c for c in codes if STATUS[c] == status]) for status in statuses
    }


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
    schema: dict[str, Any], answer: dict[str, Any], *codes: str
) -> dict[int | str, dict[str, Any]]:
    content = {"application/json": {"schema": schema, "example": answer}}
    return {200: {"description": "OK", "content": content}, **problem_responses(*codes)}


def _problems(status: int, codes: Sequence[str]) -> dict[str, Any]:
    contents = {code: Problem(code, SENTENCES[code]).content("0f3c-1") for code in codes}
    members = {
        name: {"type": "string", "example": value} for name, value in contents[codes[0]].items()
    }
    schema = _object(**members | {"status": {"const": status}, "code": {"enum": list(codes)}})
    examples = {code: {"value": content} for code, content in contents.items()}
    return {
        "description": " or ".join(f"`{code}`" for code in codes),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    }


UNAUTHORIZED = problem_responses("unauthorized")
"""What every route answers to a call without a key, where keys are asked for."""
