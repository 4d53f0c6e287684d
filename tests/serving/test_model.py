"""Models in a real Triton: files or pixels, alone or in a batch, each gets its own answer."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

import iqa
from decoding import open_picture, read, versions
from export.model_configs import configuration
from iqa.catalogue import metric
from iqa.parallel import available_cores
from perf.ports import free_ports
from tests.hostile.corpus import photograph
from tests.hostile.files import encoded
from tests.integration.several_tritons import Triton, write_backend

BATCH_DELAY = (
    300_000  # microseconds; requests sent at once share a batch, or the tests tell nothing
)
PATIENCE = 60.0

MODEL = """
from iqa.catalogue import metric
from serving.model import ScoringModel

class TritonPythonModel(ScoringModel):
    metric = metric("{name}")
"""
# The photograph's JPEG is as large as a file may be.
LIMITED = """
import os

os.environ["IQA_MAX_UPLOAD_BYTES"] = "{size}"
os.environ["IQA_MAX_PIXELS"] = "{pixels}"
"""
# A large file takes as long as the test wants.
GATED = """
import time
from pathlib import Path

from iqa.catalogue import metric
from serving.model import ScoringModel

class TritonPythonModel(ScoringModel):
    metric = metric("brisque")

    def _answer_alone(self, request, files):
        while not Path("{gate}").exists():
            time.sleep(0.01)
        super()._answer_alone(request, files)
"""
# The score of an image is the number of threads that it may use.
THREADS = """
import numpy as np

from iqa.catalogue import metric
from iqa.metric import Scores
from serving.model import ScoringModel

class TritonPythonModel(ScoringModel):
    metric = metric("brisque")

    def score(self, images, *, threads, **options):
        return Scores(np.full(len(images), threads, float), [None] * len(images))
"""

# The score of an image is 1 where its request is sent details: Triton drops what nobody asked for.
DETAILED = """
from dataclasses import replace

import numpy as np

from iqa.catalogue import metric
from serving.model import ScoringModel

class TritonPythonModel(ScoringModel):
    metric = metric("brisque")

    def _response(self, answer, with_details):
        marked = replace(answer, scores=np.full_like(answer.scores, with_details))
        return super()._response(marked, with_details)
"""

# The score of an image is the number of kernels that the process has ready before it scores any.
READY = """
import numpy as np

from iqa.brisque.cpu.join import join, sweep_and_join
from iqa.brisque.cpu.sweep import sweep
from iqa.catalogue import metric
from iqa.metric import Scores
from serving.model import ScoringModel

class TritonPythonModel(ScoringModel):
    metric = metric("brisque")

    def score(self, images, **options):
        loaded = min(len(sweep.overloads), 1) + min(len(join.overloads), 1)
        loaded += len(sweep_and_join.overloads)
        return Scores(np.full(len(images), loaded, float), [None] * len(images))
"""

Answer = dict[str, Any] | str


def write_model(folder: Path, name: str, source: str, instances: int = 1) -> None:
    kind = "ms_ssim" if name == "ms_ssim" else "brisque"
    config = configuration(metric(kind))
    config.name = name
    config.dynamic_batching.max_queue_delay_microseconds = BATCH_DELAY
    config.instance_group[0].count = instances
    del config.model_warmup[:]
    (folder / name / "1").mkdir(parents=True)
    (folder / name / "1/model.py").write_text(source)
    (folder / name / "config.pbtxt").write_text(text_format.MessageToString(config))


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Once it exists, large files are decoded."""
    return tmp_path_factory.mktemp("gate") / "open"


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory, gate: Path) -> Iterator[InferenceServerClient]:
    folder = tmp_path_factory.mktemp("triton")
    for name in ("brisque", "ms_ssim"):
        write_model(folder / "models", name, MODEL.format(name=name))
    limits = LIMITED.format(size=len(JPEG), pixels=photograph()[:, :, 0].size)
    write_model(folder / "models", "limited", limits + MODEL.format(name="brisque"))
    write_model(folder / "models", "gated", GATED.format(gate=gate))
    write_model(folder / "models", "threads", THREADS, instances=2)
    write_model(folder / "models", "detailed", DETAILED)
    write_model(folder / "models", "ready", READY)
    write_backend(folder / "backends")
    server = Triton(folder, free_ports(3)[0], host="127.0.0.11")
    server.start()
    try:
        with ThreadPoolExecutor(32) as pool:
            client = InferenceServerClient(server.address)
            client.pool = pool
            yield client
    finally:
        server.stop()


def tensor(name: str, content: bytes | np.ndarray) -> InferInput:
    """An input of one file, or of pixels `[H, W, C]`."""
    array = np.frombuffer(content, np.uint8) if isinstance(content, bytes) else content
    made = InferInput(name, [1, *array.shape], "UINT8")
    made.set_data_from_numpy(array[None])
    return made


def send(
    triton: InferenceServerClient, model: str, outputs: tuple[str, ...] = ("SCORE",), **inputs: Any
) -> Future[Answer]:
    """The outputs of one item, or the error, once it is there."""

    def ask() -> Answer:
        try:
            result = triton.infer(
                model,
                [tensor(name, content) for name, content in inputs.items()],
                outputs=[InferRequestedOutput(name) for name in outputs],
                client_timeout=PATIENCE,
            )
        except InferenceServerException as error:
            return str(error.message())
        sent = [output.name for output in result.get_response().outputs]
        return {name: result.as_numpy(name)[0] for name in sent}

    return triton.pool.submit(ask)


def brisque(pixels: np.ndarray) -> np.float32:
    return np.float32(iqa.brisque.score([pixels]).values[0])


def score(answer: Future[Answer]) -> np.float32:
    result = answer.result()
    assert isinstance(result, dict), result
    return result["SCORE"][0]


JPEG = encoded(photograph(), "JPEG")
PNG = encoded(photograph(), "PNG")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "AVIF", "HEIF"])
def test_a_file_has_the_score_of_its_pixels(triton: InferenceServerClient, kind: str) -> None:
    file = encoded(photograph(), kind)
    assert score(send(triton, "brisque", IMAGE_FILE=file)) == brisque(read(file))


def test_files_have_the_limits_of_uploads(triton: InferenceServerClient) -> None:
    assert score(send(triton, "limited", IMAGE_FILE=JPEG)) == brisque(read(JPEG))
    height, width, _ = photograph().shape
    large = encoded(Image.new("L", (width, height + 1)), "PNG")
    for code, file in (("upload_too_large", JPEG + b"\0"), ("too_many_pixels", large)):
        assert str(send(triton, "limited", IMAGE_FILE=file).result()).startswith(f"{code}: ")


def test_files_and_pixels_make_a_pair(triton: InferenceServerClient) -> None:
    expected = np.float32(iqa.ms_ssim.score([photograph()], [read(JPEG)]).values[0])
    for given in (
        {"REFERENCE_FILE": PNG, "DISTORTED_FILE": JPEG},
        {"REFERENCE": photograph(), "DISTORTED_FILE": JPEG},
        {"REFERENCE_FILE": PNG, "DISTORTED": read(JPEG)},
        {"REFERENCE": photograph(), "DISTORTED": read(JPEG)},
    ):
        assert score(send(triton, "ms_ssim", **given)) == expected


def test_of_a_pair_with_transparency_the_lower_score_counts(triton: InferenceServerClient) -> None:
    faces = [Image.fromarray(photograph()) for _ in range(2)]
    rows, columns = np.indices(photograph().shape[:2])
    for face, shift in zip(faces, (0, 9), strict=True):  # white at its place, or beside it
        face.paste((255, 255, 255), (0, 0, *face.size))
        face.putalpha(
            Image.fromarray(
                np.where((rows - 90) ** 2 + (columns - 90 - shift) ** 2 < 2500, 255, 0).astype(
                    np.uint8
                )
            )
        )
    files = [encoded(face, "PNG") for face in faces]
    on_white, on_black = versions([open_picture(memoryview(file)) for file in files])
    both = [np.float32(iqa.ms_ssim.score([a], [b]).values[0]) for a, b in (on_white, on_black)]
    assert both[0] == 1  # nobody sees them
    assert both[1] < 0.95
    answer = send(triton, "ms_ssim", REFERENCE_FILE=files[0], DISTORTED_FILE=files[1])
    assert score(answer) == both[1]


def test_each_request_of_a_batch_has_its_own_answer(triton: InferenceServerClient) -> None:
    """Bad files between good ones, and pixels: what is wrong with one is nothing to the others."""
    noise = np.random.default_rng(2).integers(0, 256, (50, 60, 3), dtype=np.uint8)
    cases = {
        "invalid_image": JPEG[: len(JPEG) // 2],
        "unsupported_format": b"%PDF-1.7",
        "image_too_small": encoded(photograph(15, 40), "PNG"),
        "score_undefined": encoded(Image.new("L", (50, 50)), "PNG"),
    }
    bad = {code: send(triton, "brisque", IMAGE_FILE=file) for code, file in cases.items()}
    answers = [send(triton, "brisque", IMAGE_FILE=file) for file in (JPEG, PNG) * 3]
    pixels = [send(triton, "brisque", IMAGE=noise) for _ in range(3)]
    assert [score(answer) for answer in answers] == [brisque(read(JPEG)), brisque(photograph())] * 3
    assert {score(answer) for answer in pixels} == {brisque(noise)}
    for code, answer in bad.items():
        assert str(answer.result()).startswith(f"{code}: ")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "request has 0 inputs"),
        ({"IMAGE": photograph(), "IMAGE_FILE": JPEG}, "invalid_request: Send either IMAGE (pixels"),
    ],
    ids=["neither", "both"],
)
def test_an_input_is_pixels_or_a_file(
    triton: InferenceServerClient, given: dict[str, bytes | np.ndarray], told: str
) -> None:
    assert told in str(send(triton, "brisque", **given).result())


def test_nobody_waits_for_a_file_that_takes_long(triton: InferenceServerClient, gate: Path) -> None:
    slow = [send(triton, "gated", IMAGE_FILE=PNG) for _ in range(3)]
    quick = [send(triton, "gated", IMAGE_FILE=JPEG) for _ in range(3)]
    pixels = [send(triton, "gated", IMAGE=photograph()) for _ in range(3)]
    try:
        assert {score(answer) for answer in quick} == {brisque(read(JPEG))}
        assert {score(answer) for answer in pixels} == {brisque(photograph())}
        assert score(send(triton, "gated", IMAGE=photograph())) == brisque(photograph())
        assert not any(answer.done() for answer in slow)
    finally:
        gate.touch()
    assert {score(answer) for answer in slow} == {brisque(photograph())}


def test_details_go_to_those_that_ask(triton: InferenceServerClient) -> None:
    answers = {
        outputs: [
            send(triton, "brisque", outputs, **given)
            for given in ({"IMAGE": photograph()}, {"IMAGE_FILE": PNG}, {"IMAGE_FILE": JPEG})
        ]
        for outputs in (("SCORE",), ("SCORE", "FEATURES"), ("FEATURES",))
    }
    for outputs, results in answers.items():
        for answer in results:
            result = answer.result()
            assert isinstance(result, dict), result
            assert tuple(result) == outputs


def test_details_are_made_for_those_alone_that_ask(triton: InferenceServerClient) -> None:
    both = ("SCORE", "FEATURES")
    asking = [send(triton, "detailed", both, IMAGE=photograph()) for _ in range(4)]
    others = [send(triton, "detailed", IMAGE=photograph()) for _ in range(4)]
    assert {score(answer) for answer in asking} == {1}
    assert {score(answer) for answer in others} == {0}


def test_an_image_that_comes_alone_may_use_all_cores(triton: InferenceServerClient) -> None:
    alone = send(triton, "threads", IMAGE=photograph())
    assert score(alone) == available_cores()
    batches = [send(triton, "threads", IMAGE=photograph()) for _ in range(16)]
    shared = {score(answer) for answer in batches}
    assert max(1, available_cores() // 2) in shared


def test_the_first_tall_image_and_the_first_tie_find_their_kernels_ready(
    triton: InferenceServerClient,
) -> None:
    assert score(send(triton, "ready", IMAGE=photograph())) == 4  # the last one in both types
