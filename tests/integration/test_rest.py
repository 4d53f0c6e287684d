"""The REST contract, against the running service."""

from __future__ import annotations

import asyncio
import json
import struct
import time
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
import skimage.data
import tritonclient.grpc
from numpy.typing import NDArray
from PIL import Image

import iqa
from decoding import CONTRACT, RULES
from iqa import catalogue
from iqa.brisque import regressor
from iqa.catalogue import METRICS
from tests.conftest import RunningService, running

RANDOM = np.random.default_rng(11)
BRISQUE, MS_SSIM = "/api/v1/iqa/nr/brisque/", "/api/v1/iqa/fr/ms-ssim/"
Pixels = NDArray[np.uint8]


def photograph(height: int = 300, width: int = 400) -> Pixels:
    """A picture of that size, never the same twice."""
    source = skimage.data.astronaut()
    top, left = RANDOM.integers(0, 512 - height), RANDOM.integers(0, 512 - width)
    return np.ascontiguousarray(source[top : top + height, left : left + width])


def noisy(pixels: Pixels) -> Pixels:
    noise = RANDOM.normal(0, 12, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def png(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def jpeg(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def huge_png() -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    crc = struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc + b"\0\0\0\0IDAT"


def brisque_of(pixels: Pixels) -> float:
    return float(np.float32(iqa.brisque.score([pixels]).values[0]))


def ms_ssim_of(reference: Pixels, distorted: Pixels) -> float:
    return float(np.float32(iqa.ms_ssim.score([reference], [distorted]).values[0]))


@pytest.fixture
def client(service: RunningService) -> httpx.Client:
    return httpx.Client(base_url=service.url, timeout=60)


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["detail"].endswith(".")
    assert not any(word in response.text for word in ("Traceback", "site-packages", "127.0"))


def new_lines(
    service: RunningService, before: int, answers: Sequence[httpx.Response]
) -> dict[object, object]:
    """Code by request id, of the log after its first `before` lines: these requests have one each.

    It lags a little, so that lines on earlier requests may come. A worker says, once, how its
    pixels travel.
    """
    ids = {answer.headers["x-request-id"] for answer in answers}
    end = time.monotonic() + 10
    while True:
        text = service.log.read_text().split("\n")[before:-1]
        lines = [line for line in map(json.loads, text) if "pixels go" not in line["message"]]
        lines = [line for line in lines if line.get("request_id") in {*ids, None}]
        if len(lines) >= len(ids) or time.monotonic() > end:
            assert len(lines) == len(ids), lines
            return {line["request_id"]: line.get("code") for line in lines}
        time.sleep(0.05)


@pytest.mark.parametrize("slash", ["", "/"])
def test_single_routes_answer_with_and_without_the_last_slash(
    client: httpx.Client, slash: str
) -> None:
    reference = photograph()
    distorted = noisy(reference)
    answer = client.post(BRISQUE.rstrip("/") + slash, files={"image": png(reference)})
    assert answer.json() == {"score": brisque_of(reference)}
    files = {"original_image": png(reference), "distorted_image": png(distorted)}
    answer = client.post(MS_SSIM.rstrip("/") + slash, files=files)
    assert answer.json() == {"score": ms_ssim_of(reference, distorted)}


def test_rest_and_both_of_tritons_protocols_agree_to_the_last_bit(
    client: httpx.Client, service: RunningService
) -> None:
    pixels = photograph()
    by_rest = client.post(BRISQUE, files={"image": png(pixels)}).json()["score"]

    tensor = tritonclient.grpc.InferInput("IMAGE", [1, *pixels.shape], "UINT8")
    tensor.set_data_from_numpy(pixels[None])
    by_grpc = tritonclient.grpc.InferenceServerClient(service.grpc).infer("brisque", [tensor])

    shape = [1, *pixels.shape]
    data = {"name": "IMAGE", "shape": shape, "datatype": "UINT8", "data": pixels.ravel().tolist()}
    by_http = httpx.post(
        f"http://{service.http}/v2/models/brisque/infer", json={"inputs": [data]}, timeout=60
    )
    assert np.float32(by_rest) == by_grpc.as_numpy("SCORE")[0, 0]
    assert np.float32(by_rest) == np.float32(by_http.json()["outputs"][0]["data"][0])


def test_grey_and_colour_make_a_pair(client: httpx.Client) -> None:
    colour = photograph()
    grey = np.asarray(Image.fromarray(colour).convert("L"))
    files = {"original_image": png(colour), "distorted_image": png(grey)}
    expected = ms_ssim_of(colour, np.repeat(grey[:, :, None], 3, axis=2))
    assert client.post(MS_SSIM, files=files).json() == {"score": expected}


def test_large_pictures_that_do_not_fit_the_shared_memory_are_scored(client: httpx.Client) -> None:
    tile = np.tile(skimage.data.astronaut(), (9, 9, 1))
    files = {"original_image": jpeg(tile), "distorted_image": jpeg(tile)}
    assert client.post(MS_SSIM, files=files).json() == {"score": 1.0}


def test_batch_keeps_order_and_tells_each_failure(client: httpx.Client) -> None:
    first, second = photograph(), photograph(161, 177)
    flat = np.full((64, 64, 3), 90, np.uint8)
    files = [("images", ("a.png", png(first))), ("images", ("b.txt", b"text"))]
    files += [("images", ("c.png", png(flat))), ("images", ("d.png", png(second)))]
    answer = client.post(f"{BRISQUE}batch/", files=files)
    results = answer.json()["results"]
    assert [result["filename"] for result in results] == ["a.png", "b.txt", "c.png", "d.png"]
    assert results[0] == {"filename": "a.png", "score": brisque_of(first)}
    assert results[1]["error"].startswith("unsupported_format: ")
    assert results[2]["error"].startswith("score_undefined: ")
    assert results[3] == {"filename": "d.png", "score": brisque_of(second)}


def test_batch_of_pairs_and_of_one_original_for_all(client: httpx.Client) -> None:
    originals = [photograph(), photograph(170, 200)]
    copies = [noisy(original) for original in originals]
    files = [("original_images", (f"o{i}", png(image))) for i, image in enumerate(originals)]
    files += [("distorted_images", (f"d{i}", png(image))) for i, image in enumerate(copies)]
    results = client.post(f"{MS_SSIM}batch", files=files).json()["results"]
    expected = [ms_ssim_of(*pair) for pair in zip(originals, copies, strict=True)]
    assert results == [{"filename": f"d{i}", "score": score} for i, score in enumerate(expected)]

    copies = [noisy(originals[0]) for _ in range(3)]
    files = [("original_images", ("o", png(originals[0])))]
    files += [("distorted_images", (f"d{i}", png(image))) for i, image in enumerate(copies)]
    results = client.post(f"{MS_SSIM}batch/", files=files).json()["results"]
    assert [result["score"] for result in results] == [
        ms_ssim_of(originals[0], copy) for copy in copies
    ]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "invalid_image"),
        (b"plain text", 415, "unsupported_format"),
        (jpeg(photograph())[:5000], 400, "invalid_image"),
        (png(photograph(1, 1)), 400, "image_too_small"),
        (png(photograph(15, 400)), 400, "image_too_small"),
        (huge_png(), 413, "too_many_pixels"),
        (png(np.full((64, 64, 3), 128, np.uint8)), 400, "score_undefined"),
        (b"\xff\xd8\xff" + b"x" * (129 << 20), 413, "upload_too_large"),
    ],
    ids=["empty", "text", "truncated", "1x1", "15 rows", "huge", "flat", "129 MB"],
)
def test_bad_images_get_their_code_and_one_log_line(
    client: httpx.Client, service: RunningService, content: bytes, status: int, code: str
) -> None:
    before = service.log.read_text().count("\n")
    answer = client.post(BRISQUE, files={"image": content})
    assert_problem(answer, status, code)
    pixels = photograph()
    next_answer = client.post(BRISQUE, files={"image": png(pixels)})
    assert next_answer.json() == {"score": brisque_of(pixels)}
    assert new_lines(service, before, [answer, next_answer]) == {
        answer.headers["x-request-id"]: code,
        next_answer.headers["x-request-id"]: None,
    }


@pytest.mark.parametrize(
    ("name", "side", "instead"), [("ms_ssim", 160, "SSIM"), ("ssim", 10, "PSNR")]
)
def test_a_pair_that_is_too_small_is_told_of_the_metric_that_takes_it(
    client: httpx.Client, service: RunningService, name: str, side: int, instead: str
) -> None:
    metric, pixels = catalogue.metric(name), photograph(side, 200)
    advice = f"{instead} takes smaller pictures"
    files = dict.fromkeys(metric.fields, png(pixels))
    answer = client.post(f"/api/v1/iqa{metric.path}/", files=files)
    assert_problem(answer, 400, "image_too_small")
    assert advice in answer.json()["detail"]

    inputs = [tritonclient.grpc.InferInput(i, [1, *pixels.shape], "UINT8") for i in metric.inputs]
    for each in inputs:
        each.set_data_from_numpy(pixels[None])
    with pytest.raises(tritonclient.grpc.InferenceServerException, match=f"too_small: .*{advice}"):
        tritonclient.grpc.InferenceServerClient(service.grpc).infer(name, inputs)

    assert advice in str(metric.score([pixels], [pixels]).errors[0])


def test_bad_pairs_and_bad_requests_get_their_code(client: httpx.Client) -> None:
    picture = png(photograph())
    files = {"original_image": picture, "distorted_image": png(photograph(200, 200))}
    assert_problem(client.post(MS_SSIM, files=files), 400, "size_mismatch")
    small = png(photograph(160, 200))
    files = {"original_image": small, "distorted_image": small}
    assert_problem(client.post(MS_SSIM, files=files), 400, "image_too_small")
    for files in ({"original_image": picture}, {"picture": picture}):
        assert_problem(client.post(MS_SSIM, files=files), 422, "invalid_request")
    two = [("image", picture), ("image", picture)]
    assert_problem(client.post(BRISQUE, files=two), 422, "invalid_request")
    assert_problem(client.post(BRISQUE, json={"image": "..."}), 422, "invalid_request")
    uneven = [("original_images", picture)] * 2 + [("distorted_images", picture)] * 3
    assert_problem(client.post(f"{MS_SSIM}batch/", files=uneven), 422, "invalid_request")
    many = [("images", picture)] * 65
    assert_problem(client.post(f"{BRISQUE}batch/", files=many), 422, "invalid_request")
    timeout = {"X-Request-Timeout": "soon"}
    answer = client.post(BRISQUE, files={"image": picture}, headers=timeout)
    assert_problem(answer, 422, "invalid_request")
    assert_problem(client.get("/nothing"), 404, "not_found")
    assert_problem(client.get(BRISQUE), 405, "method_not_allowed")


def test_several_scores_come_from_one_upload(client: httpx.Client) -> None:
    original = photograph()
    copy = noisy(original)
    files = {"original_image": png(original), "distorted_image": png(copy)}
    pair = [metric for metric in METRICS if metric.path.startswith("/fr/")]
    expected = {
        metric.name: float(np.float32(metric.score([original], [copy]).values[0]))
        for metric in pair
    }
    assert client.post("/api/v1/iqa/fr/", files=files).json() == {"scores": expected}
    data = {"metrics": "ms_ssim, psnr", "note": "ignored"}
    scores = client.post("/api/v1/iqa/fr", files=files, data=data).json()["scores"]
    assert scores == {name: expected[name] for name in ("ms_ssim", "psnr")}
    answer = client.post("/api/v1/iqa/nr/", files={"image": png(original)})
    assert answer.json() == {"scores": {"brisque": brisque_of(original)}}
    answer = client.post("/api/v1/iqa/fr/", files=files, data={"metrics": "brisque"})
    assert_problem(answer, 422, "invalid_request")


def test_a_pair_with_transparency_is_scored_over_white_and_over_black(client: httpx.Client) -> None:
    """White on transparent is invisible over white: the worse score counts."""
    original = np.full((180, 180, 4), 255, np.uint8)
    original[..., 3] = RANDOM.integers(0, 2, (180, 180)) * 255
    distorted = original.copy()
    distorted[:, :60, 3] = 0
    seen = [
        [
            np.where(image[..., 3:] == 255, 255, background).astype(np.uint8).repeat(3, axis=2)
            for image in (original, distorted)
        ]
        for background in (255, 0)
    ]
    over_white, over_black = (ms_ssim_of(*pair) for pair in seen)
    assert over_black < over_white == 1
    files = {"original_image": png(original), "distorted_image": png(distorted)}
    assert client.post(MS_SSIM, files=files).json() == {"score": over_black}


def test_a_deadline_that_passes_is_told(client: httpx.Client) -> None:
    answer = client.post(
        BRISQUE, files={"image": png(photograph())}, headers={"X-Request-Timeout": "0.0001"}
    )
    assert_problem(answer, 504, "deadline_exceeded")


def test_what_is_served_and_by_which_weights(client: httpx.Client) -> None:
    answer = client.get("/api/v1/iqa").json()
    assert answer["decoding"] == {"version": CONTRACT, **RULES}
    metrics = {metric["name"]: metric for metric in answer["metrics"]}
    brisque, ms_ssim = metrics["BRISQUE"], metrics["MS-SSIM"]
    weights = regressor.load().provenance["sha256"]
    assert brisque["implementation"]["weights_sha256"] == weights
    assert brisque["implementation"]["version"] == iqa.__version__
    assert (brisque["minimum_side"], ms_ssim["minimum_side"]) == (
        iqa.brisque.BRISQUE.minimum_side,
        iqa.ms_ssim.MS_SSIM.minimum_side,
    )
    assert (brisque["direction"], ms_ssim["direction"]) == ("lower is better", "higher is better")


def test_documentation_health_and_metrics(client: httpx.Client) -> None:
    page = client.get("/").text
    assert "swagger-ui" in page
    assert "https://" not in page
    schema = client.get("/openapi.json").json()
    responses = schema["paths"][BRISQUE]["post"]["responses"]
    assert responses["200"]["content"]["application/json"]["example"] == {"score": 9.13}
    assert "image_too_small" in responses["400"]["content"]["application/problem+json"]["examples"]
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert "http_server_request_duration_seconds_count" in client.get("/metrics").text


def test_a_given_request_id_is_kept_unless_it_is_odd(client: httpx.Client) -> None:
    answer = client.get("/healthz", headers={"X-Request-ID": "abc-123"})
    assert answer.headers["x-request-id"] == "abc-123"
    answer = client.get("/healthz", headers={"X-Request-ID": "no spaces, please"})
    assert answer.headers["x-request-id"] != "no spaces, please"


async def test_a_burst_of_mixed_sizes_is_batched_and_each_gets_its_own_score(
    service: RunningService,
) -> None:
    sizes = [(16 + 17 * n, 400 - 19 * n) for n in range(20)]
    pictures = [photograph(*sizes[n % len(sizes)]) for n in range(64)]
    triton = tritonclient.grpc.InferenceServerClient(service.grpc)

    def large_batches() -> int:
        statistics = triton.get_inference_statistics("brisque").model_stats[0].batch_stats
        return sum(batch.compute_infer.count for batch in statistics if batch.batch_size > 1)

    before = large_batches()
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=service.url, timeout=60, limits=limits) as client:
        answers = await asyncio.gather(
            *(client.post(BRISQUE, files={"image": png(picture)}) for picture in pictures)
        )
    assert [answer.json() for answer in answers] == [
        {"score": brisque_of(picture)} for picture in pictures
    ]
    assert large_batches() > before


def test_without_a_backend_and_for_what_never_fits_it_says_so(tmp_path: Path) -> None:
    nowhere = ("--workers=1", "--triton-url=127.0.0.1:9")
    with running(tmp_path / "log", *nowhere, IQA_MAX_MEGAPIXELS="1") as alone:
        picture = {"image": png(photograph())}
        with httpx.Client(base_url=alone.url, timeout=60) as client:
            answer = client.post(BRISQUE, files=picture)
            assert_problem(answer, 503, "backend_unavailable")
            assert_problem(client.get("/readyz"), 503, "backend_unavailable")
            batch = [("images", jpeg(photograph(500, 500)))] * 9
            answer = client.post(f"{BRISQUE}batch/", files=batch)
            assert_problem(answer, 413, "too_many_pixels")
            assert "retry-after" not in answer.headers
