"""The models as Triton's own clients meet them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

import iqa
from tests.conftest import RunningService, running

RANDOM = np.random.default_rng(3)
Pixels = NDArray[np.uint8]


def noise(*shape: int) -> Pixels:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture(scope="module", params=["grpc", "http"])
def protocol(request: pytest.FixtureRequest) -> object:
    return tritonclient.grpc if request.param == "grpc" else tritonclient.http


@pytest.fixture(scope="module")
def client(protocol: object, service: RunningService) -> object:
    address = service.grpc if protocol is tritonclient.grpc else service.http
    return protocol.InferenceServerClient(address)


def infer(protocol, client, model: str, outputs: tuple[str, ...] = (), **tensors: Pixels):  # type: ignore[no-untyped-def]  # both client packages fit
    inputs = []
    for name, pixels in tensors.items():
        tensor = protocol.InferInput(name, list(pixels.shape), "UINT8")
        tensor.set_data_from_numpy(pixels)
        inputs.append(tensor)
    wanted = [protocol.InferRequestedOutput(name) for name in outputs] or None
    return client.infer(model, inputs, outputs=wanted)


def test_stacked_images_get_a_score_each(protocol: object, client: object) -> None:
    stack = noise(5, 40, 50, 3)
    scores = infer(protocol, client, "brisque", IMAGE=stack).as_numpy("SCORE")
    expected = iqa.brisque.score(list(stack)).values.astype(np.float32)
    np.testing.assert_array_equal(scores, expected[:, None])


def test_optional_outputs_come_when_asked_for(protocol: object, client: object) -> None:
    picture = noise(1, 64, 80, 1)
    result = infer(protocol, client, "brisque", ("SCORE", "FEATURES"), IMAGE=picture)
    expected = iqa.brisque.score(list(picture), details=True)
    np.testing.assert_array_equal(result.as_numpy("FEATURES"), np.float32(expected.features))
    result = infer(protocol, client, "brisque", ("SCORE",), IMAGE=picture)
    assert result.as_numpy("FEATURES") is None

    reference, distorted = noise(2, 161, 170, 3), noise(2, 161, 170, 3)
    pair = {"REFERENCE": reference, "DISTORTED": distorted}
    result = infer(protocol, client, "ms_ssim", ("SCORE", "SCALES"), **pair)
    expected_pair = iqa.ms_ssim.score(list(reference), list(distorted), details=True)
    np.testing.assert_array_equal(result.as_numpy("SCALES"), np.float32(expected_pair.scales))
    np.testing.assert_array_equal(result.as_numpy("SCORE")[:, 0], np.float32(expected_pair.values))


@pytest.mark.parametrize(
    ("model", "tensors", "message"),
    [
        ("brisque", {"IMAGE": noise(1, 15, 40, 3)}, "image_too_small: "),
        ("brisque", {"IMAGE": noise(1, 40, 40, 2)}, "invalid_image: "),
        ("brisque", {"IMAGE": np.full((1, 40, 40, 3), 9, np.uint8)}, "score_undefined: "),
        ("brisque", {"IMAGE": noise(1, 0, 40, 3)}, "image_too_small: "),
        ("brisque", {"IMAGE": noise(1, 40, 40, 0)}, "invalid_image: "),
        ("brisque", {"IMAGE": noise(40, 40, 3)}, "shape"),
        ("brisque", {"IMAGE": noise(65, 16, 16, 1)}, "batch-size must be <= 64"),
        (
            "ms_ssim",
            {"REFERENCE": noise(1, 170, 170, 3), "DISTORTED": noise(1, 171, 170, 3)},
            "size_mismatch: ",
        ),
        (
            "ms_ssim",
            {"REFERENCE": noise(2, 170, 170, 3), "DISTORTED": noise(3, 170, 170, 3)},
            "batch size does not match",
        ),
        ("ms_ssim", {"REFERENCE": noise(1, 170, 170, 3)}, "Send either DISTORTED"),
    ],
    ids=[
        *("small", "two channels", "flat", "no rows", "no channels", "rank", "too many"),
        *("mismatch", "uneven stacks", "missing"),
    ],
)
def test_bad_requests_fail_alone(
    protocol: object,
    client: object,
    service: RunningService,
    model: str,
    tensors: dict[str, Pixels],
    message: str,
) -> None:
    neighbour = noise(1, 64, 64, 3)
    expected = np.float32(iqa.brisque.score(list(neighbour)).values[0])
    other_client = tritonclient.grpc.InferenceServerClient(service.grpc)
    with ThreadPoolExecutor(1) as pool:
        good = pool.submit(infer, tritonclient.grpc, other_client, "brisque", IMAGE=neighbour)
        with pytest.raises(InferenceServerException, match=message) as caught:
            infer(protocol, client, model, **tensors)
        assert "Traceback" not in str(caught.value)
        assert good.result().as_numpy("SCORE")[0, 0] == expected


def test_a_ragged_burst_is_batched_and_only_the_bad_ones_fail(service: RunningService) -> None:
    sizes = [(161 + 7 * n, 300 - 6 * n) for n in range(20)]
    # Some are stacked, and every eighth is a pair that does not fit.
    pairs = [
        (noise(1 + n % 2, *sizes[n % 20], 3), noise(1 + n % 2, *sizes[(n + (n % 8 == 7)) % 20], 3))
        for n in range(64)
    ]
    triton = tritonclient.grpc.InferenceServerClient(service.grpc)

    def large_batches() -> int:
        statistics = triton.get_inference_statistics("ms_ssim").model_stats[0].batch_stats
        return sum(batch.compute_infer.count for batch in statistics if batch.batch_size > 2)

    def score(pair: tuple[Pixels, Pixels]) -> NDArray[np.float32] | str:
        tensors = {"REFERENCE": pair[0], "DISTORTED": pair[1]}
        try:
            return infer(tritonclient.grpc, triton, "ms_ssim", **tensors).as_numpy("SCORE")[:, 0]
        except InferenceServerException as error:
            return str(error.message())

    before = large_batches()
    with ThreadPoolExecutor(len(pairs)) as pool:
        answers = list(pool.map(score, pairs))
    for number, ((reference, distorted), answer) in enumerate(zip(pairs, answers, strict=True)):
        if number % 8 == 7:
            assert isinstance(answer, str)
            assert answer.startswith("size_mismatch: ")
        else:
            expected = iqa.ms_ssim.score(list(reference), list(distorted)).values
            np.testing.assert_array_equal(answer, np.float32(expected))
    assert large_batches() > before


def test_scoring_leaves_no_traceback_in_tritons_log(tmp_path: Path) -> None:
    options = ("--workers=1", "--metrics=brisque", "--log-level=debug")
    with running(tmp_path / "log", *options) as service:
        client = tritonclient.grpc.InferenceServerClient(service.grpc)
        for picture in (noise(1, 64, 80, 3), noise(1, 15, 15, 3)):
            with suppress(InferenceServerException):  # the second is too small
                infer(tritonclient.grpc, client, "brisque", IMAGE=picture)
    log = service.log.read_text()
    assert "successfully loaded 'brisque'" in log  # Triton's own lines are there
    assert "Traceback" not in log


def test_other_data_types_are_refused(protocol: object, client: object) -> None:
    words = protocol.InferInput("IMAGE", [1, 1, 1, 1], "BYTES")
    words.set_data_from_numpy(np.array([[[[b"pixels"]]]], np.object_))
    with pytest.raises(InferenceServerException, match="UINT8"):
        client.infer("brisque", [words])
    tensor = protocol.InferInput("IMAGE", [1, 40, 40, 3], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 40, 40, 3), np.float32))
    with pytest.raises(InferenceServerException, match="UINT8"):
        client.infer("brisque", [tensor])


def test_plain_json_over_http(service: RunningService) -> None:
    picture = noise(1, 16, 16, 1)
    data = {"name": "IMAGE", "shape": [1, 16, 16, 1], "datatype": "UINT8"}
    data["data"] = picture.ravel().tolist()
    url = f"http://{service.http}/v2/models/brisque/infer"
    (output,) = httpx.post(url, json={"inputs": [data], "outputs": [{"name": "SCORE"}]}).json()[
        "outputs"
    ]
    assert np.float32(output["data"][0]) == np.float32(iqa.brisque.score(list(picture)).values[0])
