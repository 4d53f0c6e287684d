"""Triton's own clients send nonsense: they get an error, and their neighbours right scores."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

import iqa
from perf.load.faults import members
from tests.conftest import RunningService, running
from tests.hostile.corpus import noise, photograph
from tests.hostile.files import encoded
from tests.hostile.test_files import BRISQUE

pytestmark = pytest.mark.server

GOOD = 96  # requests among the bad ones
ROUNDS = 20  # most of them, until some requests have shared a batch
PATIENCE = 60.0  # seconds
RECOVERY = 30.0  # seconds
SIDE = 170
CONTENT = noise(SIDE * SIDE)

Shape = Sequence[int]


@dataclass(frozen=True)
class Tensor:
    """An input as a client describes it, which need not be so."""

    shape: Shape
    data: bytes = CONTENT
    datatype: str = "UINT8"


def picture(number: int) -> Tensor:
    """A proper one; no two are alike."""
    shape = (1, 64 + number, 80, 1)
    return Tensor(shape, np.random.default_rng(number).bytes(int(np.prod(shape))))


def score(tensor: Tensor) -> float:
    pixels = np.frombuffer(tensor.data, np.uint8).reshape(tensor.shape)
    return float(np.float32(iqa.brisque.score(list(pixels)).values[0]))


def nonsense() -> Iterator[list[Tensor]]:
    """Inputs of requests that get an error: of `brisque`, or of `ms_ssim` where there are two."""
    proper = (1, SIDE, SIDE, 1)
    for datatype in ("FP32", "BYTES", "INT8", "BOOL", "UINT16", "FP8", ""):
        yield [Tensor(proper, datatype=datatype)]
    strings = b"".join(len(word).to_bytes(4, "little") + word for word in [b"pixel"] * 4)
    yield [Tensor((1, 2, 2, 1), strings, "BYTES")]
    ranks: list[Shape] = [(), (SIDE * SIDE,), (SIDE, SIDE), (SIDE, SIDE, 1), (1, 1, *proper[1:])]
    none: list[Shape] = [(1, 0, SIDE, 3), (1, SIDE, 0, 3), (1, SIDE, SIDE, 0), (1, 0, 0, 0)]
    wrong: list[Shape] = [(1, SIDE, SIDE, 3), (1, SIDE, SIDE, 2), (2, *proper[1:]), (65, 16, 16, 1)]
    giant: list[Shape] = [(1, 100_000, 100_000, 3), (1, 2**31, 2**31, 1), (1, 2**62, 4, 1)]
    giant += [(1, 2**63 - 1, 1, 1), (64, 2**58, 1, 1), (1, 2**32, 2**32, 3)]
    for shape in [*ranks, *wrong, *giant]:
        yield [Tensor(shape)]
    for shape in none:
        yield [Tensor(shape, b"")]
    yield [Tensor(proper, CONTENT[:-1])]
    yield [Tensor(proper, CONTENT + b"a")]
    yield [Tensor((1, 2, SIDE * SIDE // 2, 1))]  # too small

    for other in (
        Tensor((1, SIDE, SIDE - 1, 1), CONTENT[:-SIDE]),
        Tensor((1, SIDE // 2, SIDE * 2, 1)),
        Tensor((1, SIDE, SIDE, 3), CONTENT * 3),
        Tensor((2, SIDE, SIDE, 1), CONTENT * 2),
        Tensor((1, 0, SIDE, 1), b""),
        Tensor((1, 2**62, 4, 1)),
        Tensor(proper, datatype="BYTES"),
    ):
        yield [Tensor(proper), other]
        yield [other, Tensor(proper)]


def by_grpc(service: RunningService, tensors: Sequence[Tensor]) -> float | str:
    """The score, or the error."""
    model, names = called(tensors)
    request = messages.ModelInferRequest(model_name=model)
    for name, tensor in zip(names, tensors, strict=True):
        request.inputs.add(name=name, datatype=tensor.datatype, shape=tensor.shape)
        request.raw_input_contents.append(tensor.data)
    request.outputs.add(name="SCORE")
    with grpc.insecure_channel(service.grpc) as channel:
        try:
            answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=PATIENCE)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return float(np.frombuffer(answer.raw_output_contents[0], "<f4")[0])


def by_http(service: RunningService, tensors: Sequence[Tensor]) -> float | str:
    """The score, or the error."""
    model, names = called(tensors)
    inputs = [
        {
            "name": name,
            "shape": tensor.shape,
            "datatype": tensor.datatype,
            "parameters": {"binary_data_size": len(tensor.data)},
        }
        for name, tensor in zip(names, tensors, strict=True)
    ]
    header = json.dumps({"inputs": inputs, "outputs": [{"name": "SCORE"}]}).encode()
    answer = httpx.post(
        f"http://{service.http}/v2/models/{model}/infer",
        content=header + b"".join(tensor.data for tensor in tensors),
        headers={"Inference-Header-Content-Length": str(len(header))},
        timeout=PATIENCE,
    )
    if answer.status_code == 200:
        return float(np.float32(answer.json()["outputs"][0]["data"][0]))
    return f"{answer.status_code}: {answer.json()['error']}"


def called(tensors: Sequence[Tensor]) -> tuple[str, list[str]]:
    return ("brisque", ["IMAGE"]) if len(tensors) == 1 else ("ms_ssim", ["REFERENCE", "DISTORTED"])


def test_nonsense_gets_an_error_and_its_neighbours_their_scores(service: RunningService) -> None:
    calls = [([picture(number)], score(picture(number))) for number in range(GOOD)]
    calls += [(tensors, None) for tensors in nonsense()] * 2
    random.Random(8).shuffle(calls)
    before = {process.pid for process in members(service.process.pid)}
    batches = large_batches(service)

    for _ in range(ROUNDS):
        with ThreadPoolExecutor(32) as pool:
            answers = [
                pool.submit(by_grpc if number % 2 else by_http, service, tensors)
                for number, (tensors, _) in enumerate(calls)
            ]
        for (tensors, expected), answer in zip(calls, answers, strict=True):
            if expected is None:
                error = answer.result()
                assert isinstance(error, str), [tensor.shape for tensor in tensors]
                # Triton says 500 for bad JSON.
                assert error.startswith(("INVALID_ARGUMENT: ", "400: ", "500: "))
                assert not any(word in error for word in ("Traceback", ".py", "healthy"))
            else:
                assert answer.result() == expected
        if large_batches(service) > batches:
            break
    assert large_batches(service) > batches
    assert {process.pid for process in members(service.process.pid)} == before


def large_batches(service: RunningService) -> int:
    client = tritonclient.grpc.InferenceServerClient(service.grpc)
    statistics = client.get_inference_statistics("brisque").model_stats[0].batch_stats
    return sum(batch.compute_infer.count for batch in statistics if batch.batch_size > 1)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b'{"inputs":1}', b'{"inputs":[{"name":1}]}', b"[" * 100_000],
)
def test_what_is_no_request_is_refused(service: RunningService, content: bytes) -> None:
    url = f"http://{service.http}/v2/models/brisque/infer"
    answer = httpx.post(url, content=content, timeout=PATIENCE)
    assert answer.status_code in (400, 500)
    assert "error" in answer.json()
    assert by_http(service, [picture(0)]) == score(picture(0))


def test_what_triton_does_not_survive_costs_errors_but_no_wrong_score(tmp_path: Path) -> None:
    """Where the line runs, as SECURITY.md says.

    Triton 2.51 takes a batch of no images for one of as many as its images are high, and fails all
    that it has batched with it. Of sides whose product overflows to the number of bytes that are
    there it dies.
    """
    file = {"image": encoded(photograph(), "PNG")}
    with (
        running(tmp_path / "log", "--workers=1", "--metrics=brisque") as service,
        httpx.Client(base_url=service.url, timeout=PATIENCE) as client,
    ):
        expected = client.post(BRISQUE, files=file).json()

        def ask(_: int) -> str | None:
            """None for the right score, else the code of the problem."""
            answer = client.post(BRISQUE, files=file).json()
            return None if answer == expected else answer["code"]

        with ThreadPoolExecutor(8) as pool:
            bad = [pool.submit(by_grpc, service, [Tensor((0, SIDE, SIDE, 1))]) for _ in range(8)]
            codes = set(pool.map(ask, range(64)))
        assert None in codes
        assert codes <= {None, "backend_unavailable"}
        assert all(isinstance(error.result(), str) for error in bad)
        assert ask(0) is None

        assert isinstance(by_grpc(service, [Tensor((1, 2**62, 4, 1), b"")]), str)
        recovered = time.monotonic() + RECOVERY
        while (code := ask(0)) is not None:
            assert code in ("backend_unavailable", "deadline_exceeded")
            assert time.monotonic() < recovered
            time.sleep(0.1)
