"""Maps from the running service: over REST, and from Triton in batches of mixed sizes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import httpx
import numpy as np
import pytest
import skimage.data
import tritonclient.grpc
from numpy.typing import NDArray
from PIL import Image

import iqa
from tests.conftest import RunningService

BRISQUE, MS_SSIM = "/api/v1/iqa/nr/brisque/map", "/api/v1/iqa/fr/ms-ssim/map"
RAW = {"Accept": "application/octet-stream"}
ORIGINAL = np.ascontiguousarray(skimage.data.astronaut()[:203, :310])
DISTORTED = np.ascontiguousarray(ORIGINAL // 16 * 16)
SCORED = iqa.ms_ssim.score([ORIGINAL], [DISTORTED], maps=True, details=True)
Pixels = NDArray[np.uint8]


def png(pixels: Pixels) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


PAIR = {"original_image": png(ORIGINAL), "distorted_image": png(DISTORTED)}


def brisque_map(pixels: Pixels) -> NDArray[np.float32]:
    maps = iqa.brisque.score([pixels], maps=True).maps
    assert maps is not None
    assert maps[0] is not None
    return maps[0]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_pair_has_a_map_of_numbers(service: RunningService, slash: str) -> None:
    answer = httpx.post(service.url + MS_SSIM + slash, files=PAIR, headers=RAW)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-map-shape"] == "193,300"
    assert SCORED.maps is not None
    assert SCORED.maps[0] is not None
    assert SCORED.scales is not None
    found = np.frombuffer(answer.content, "<f4").reshape(193, 300)
    np.testing.assert_allclose(found, SCORED.maps[0], atol=1e-6)
    assert float(answer.headers["x-map-score"]) == pytest.approx(SCORED.values[0], abs=1e-6)
    terms = [float(term) for term in answer.headers["x-map-terms"].split(",")]
    np.testing.assert_allclose(terms, SCORED.scales[0], atol=1e-6)


def test_one_picture_has_a_map_in_colours(service: RunningService) -> None:
    answer = httpx.post(service.url + BRISQUE, files={"image": png(ORIGINAL)})
    assert answer.headers["content-type"] == "image/png"
    assert "x-map-terms" not in answer.headers
    low, high = (float(answer.headers[f"x-map-{end}"]) for end in ("low", "high"))
    shades = np.asarray(Image.open(BytesIO(answer.content)))
    expected = np.clip((brisque_map(ORIGINAL) - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(shades, expected, atol=0.51)


def test_the_score_route_answers_the_score_alone(service: RunningService) -> None:
    answer = httpx.post(f"{service.url}/api/v1/iqa/fr/ms-ssim/", files=PAIR).json()
    assert answer == {"score": pytest.approx(SCORED.values[0], abs=1e-6)}


def test_a_refusal_is_a_problem(service: RunningService) -> None:
    answer = httpx.post(service.url + BRISQUE, files={"image": b"nothing"}, headers=RAW)
    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_format"


def infer(
    client: tritonclient.grpc.InferenceServerClient, stack: Pixels, names: list[str], asked: bool
) -> tritonclient.grpc.InferResult:
    image = tritonclient.grpc.InferInput("IMAGE", stack.shape, "UINT8")
    image.set_data_from_numpy(stack)
    outputs = [tritonclient.grpc.InferRequestedOutput(name) for name in names]
    parameters = {"map": True} if asked else None
    return client.infer("brisque", [image], outputs=outputs or None, parameters=parameters)


def test_batched_requests_get_maps_of_their_own_shape(service: RunningService) -> None:
    """Every other request asks for a map; a stack gets a stack of them."""
    images = [ORIGINAL[: 40 + 7 * i, : 60 + 5 * i] for i in range(12)]
    client = tritonclient.grpc.InferenceServerClient(service.grpc)

    def ask(position: int) -> tritonclient.grpc.InferResult:
        stack = np.stack([images[position]] * 2)
        names = ["SCORE", "MAP"] if position % 2 else ["SCORE"]
        return infer(client, stack, names, asked=True)

    with ThreadPoolExecutor(len(images)) as threads:
        answers = list(threads.map(ask, range(len(images))))
    for position, (image, answer) in enumerate(zip(images, answers, strict=True)):
        expected = iqa.brisque.score([image]).values[0]
        np.testing.assert_allclose(answer.as_numpy("SCORE"), [[expected]] * 2, atol=1e-3)
        found = answer.as_numpy("MAP")
        if position % 2:
            np.testing.assert_allclose(found, [brisque_map(image)] * 2, atol=1e-6)
        else:
            assert found is None


def test_who_names_no_output_pays_for_no_map(service: RunningService) -> None:
    client = tritonclient.grpc.InferenceServerClient(service.grpc)
    answer = infer(client, ORIGINAL[None], [], asked=False)
    assert answer.as_numpy("FEATURES").shape == (1, 36)
    assert answer.as_numpy("MAP") is None
