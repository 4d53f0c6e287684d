"""Multipart bodies are read to the last byte, or refused with their code."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from starlette.requests import Request

from gateway.http.problems import Problem
from gateway.http.uploads import Upload, UploadLimits, read_uploads

LIMITS = UploadLimits(file_bytes=1000, body_bytes=5000, files=4)
FORM = "multipart/form-data; boundary=XX"


def part(name: str, data: bytes, filename: str = "a.jpg") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return b"--XX\r\n" + disposition.encode() + b"\r\n\r\n" + data + b"\r\n"


def request(chunks: Sequence[bytes], **headers: str) -> Request:
    messages = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]

    async def receive() -> dict[str, object]:
        return messages.pop(0) if messages else {"type": "http.request", "body": b""}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "headers": raw}, receive)


async def read(*chunks: bytes, content_type: str = FORM, **headers: str) -> list[Upload]:
    held: list[int] = []
    form = request(chunks, content_type=content_type, **headers)
    uploads = await read_uploads(form, LIMITS, held.append)
    assert sum(held) == sum(map(len, chunks))
    return uploads


async def code_of(*chunks: bytes, content_type: str = FORM, **headers: str) -> str:
    with pytest.raises(Problem) as caught:
        await read(*chunks, content_type=content_type, **headers)
    return caught.value.code


async def test_parts_come_in_order_whole_and_named() -> None:
    content = bytes(range(256)) + b"\r\n--X\r\n--XY"
    body = part("a", content, "ä ö.png") + part("b", b"") + part("a", b"3") + b"--XX--\r\n"
    for size in (1, 2, 7, 64, len(body)):
        chunks = [body[start : start + size] for start in range(0, len(body), size)]
        uploads = await read(*chunks)
        found = [(upload.name, upload.filename, bytes(upload.data)) for upload in uploads]
        assert found == [("a", "ä ö.png", content), ("b", "a.jpg", b""), ("a", "a.jpg", b"3")]


async def test_text_and_extended_names_are_told_apart() -> None:
    text = b'--XX\r\nContent-Disposition: form-data; name="t"\r\n\r\npsnr,ssim\r\n'
    named = part("a", b"1").replace(b'"a.jpg"', b"\"a.jpg\"; filename*=UTF-8''%c3%a4%20b.jpg")
    uploads = await read(text + named + b"--XX--\r\n")
    assert [(upload.name, upload.filename) for upload in uploads] == [("t", None), ("a", "ä b.jpg")]
    assert bytes(uploads[0].data) == b"psnr,ssim"


async def test_limits_name_what_they_limit() -> None:
    text = b'--XX\r\nContent-Disposition: form-data; name="t"\r\n\r\n1\r\n'
    for body, sentence in (
        (part("a", b"1") * 5, "at most 4 images"),
        (text * 33, "at most 32 text fields"),
        (part("a", b"x" * 1001), "a file of at most 1000 bytes"),
    ):
        with pytest.raises(Problem, match=sentence):
            await read(body + b"--XX--\r\n")


async def test_what_is_as_large_as_may_be_is_taken() -> None:
    (upload,) = await read(part("a", b"x" * LIMITS.file_bytes) + b"--XX--\r\n")
    assert len(upload.data) == LIMITS.file_bytes
    assert len(await read(part("a", b"1") * LIMITS.files + b"--XX--\r\n")) == LIMITS.files
    end = b"--XX--\r\n"
    filled = part("a", b"1") + end
    filled += b"x" * (LIMITS.body_bytes - len(filled))
    assert len(await read(filled, content_length=str(LIMITS.body_bytes))) == 1


async def test_a_large_body_is_put_together_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    to_thread = asyncio.to_thread

    async def watched(join: Callable[[list[bytes]], bytes], blocks: list[bytes]) -> bytes:
        sizes.extend(map(len, blocks))
        return await to_thread(join, blocks)

    monkeypatch.setattr(asyncio, "to_thread", watched)
    files = [bytes([number]) * (3 << 20) for number in range(2)]
    body = b"".join(part("a", file) for file in files) + b"--XX--\r\n"
    limits = UploadLimits(file_bytes=len(files[0]), body_bytes=len(body), files=2)
    for step in (1 << 14, 1 << 18):
        chunks = [body[start : start + step] for start in range(0, len(body), step)]
        uploads = await read_uploads(request(chunks, content_type=FORM), limits, lambda _: None)
        assert [bytes(upload.data) for upload in uploads] == files
        assert sum(sizes) == len(body)
        assert max(sizes) < 1 << 20
        sizes.clear()


async def test_a_compressed_body_is_refused() -> None:
    for encoding in ("gzip", "deflate"):
        code = await code_of(b"", content_encoding=encoding)
        assert code == "unsupported_format"
    uploads = await read(part("a", b"1") + b"--XX--\r\n", content_encoding="identity")
    assert len(uploads) == 1


async def test_the_epilogue_is_ignored() -> None:
    uploads = await read(part("a", b"1") + b"--XX--\r\nepilogue")
    assert [bytes(upload.data) for upload in uploads] == [b"1"]


@pytest.mark.parametrize(
    "content_type",
    ["", "image/jpeg", "multipart/form-data", "multipart/mixed; boundary=XX", "application/json"],
)
async def test_other_content_types_are_refused(content_type: str) -> None:
    assert await code_of(b"", content_type=content_type) == "invalid_request"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"--XX\r\n",
        part("a", b"1"),  # never closed
        b"--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--\r\n",  # no name
        b"--XX\r\nno colon\r\n\r\n1\r\n--XX--\r\n",
        b"--XX\r\n" + b"X-Long: " + b"x" * 4500 + b"\r\n\r\n1\r\n--XX--\r\n",
        b"--XX\r\n" + b"A: b\r\n" * 100 + b"\r\n1\r\n--XX--\r\n",
        part("a", b"1") * 5 + b"--XX--\r\n",  # too many
    ],
)
async def test_malformed_bodies_are_refused(body: bytes) -> None:
    assert await code_of(body) == "invalid_request"


async def test_a_large_file_is_refused() -> None:
    assert await code_of(part("a", b"x" * 1001) + b"--XX--\r\n") == "upload_too_large"


async def test_a_large_body_is_refused_before_and_while_it_is_read() -> None:
    assert await code_of(content_length="5001") == "upload_too_large"

    async def endless() -> AsyncIterator[bytes]:
        yield part("a", b"")[:-2]
        while True:
            yield b"x" * 100

    chunks = endless()
    read_so_far = 0

    async def receive() -> dict[str, object]:
        nonlocal read_so_far
        chunk = await anext(chunks)
        read_so_far += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    held: list[int] = []
    headers = [(b"content-type", FORM.encode())]
    with pytest.raises(Problem) as caught:
        await read_uploads(
            Request({"type": "http", "headers": headers}, receive), LIMITS, held.append
        )
    assert caught.value.code == "upload_too_large"
    assert sum(held) <= LIMITS.body_bytes
    assert read_so_far <= 5100
