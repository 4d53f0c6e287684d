"""Keys, origins and the headers for browsers, on the application without a Triton behind it."""

from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from uvicorn.lifespan.on import LifespanOn

from gateway.app import create_app
from gateway.settings import Settings

SCORE = "/api/v1/iqa/nr/brisque/"
BEARER = {"Authorization": "Bearer second"}


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(triton_url="127.0.0.1:1", shm_megabytes=1, **request.param)
    app = create_app(settings)
    lifespan = LifespanOn(uvicorn.Config(app))
    await lifespan.startup()
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client
    await lifespan.shutdown()


with_keys = pytest.mark.parametrize("client", [{"api_keys": "first, second,"}], indirect=True)
open_to_all = pytest.mark.parametrize("client", [{}], indirect=True)
with_origins = pytest.mark.parametrize(
    "client", [{"allowed_origins": "https://a.example,https://b.example", "api_keys": "first"}],
    indirect=True,
)  # fmt: skip


@with_keys
@pytest.mark.parametrize("path", [SCORE, SCORE[:-1], SCORE + "batch/", "/api/v1/iqa", "/metrics"])
@pytest.mark.parametrize(
    "authorization", ["", "second", "Bearer", "Bearer ", "Bearer secon", "Basic second", "Bearer ü"]
)
async def test_without_a_key_there_is_nothing(
    client: httpx.AsyncClient, path: str, authorization: str
) -> None:
    headers = {"Authorization": authorization.encode("latin-1")} if authorization else {}
    answer = await client.post(path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@with_keys
async def test_every_key_opens(client: httpx.AsyncClient) -> None:
    for key in ("first", "second"):
        for scheme in ("Bearer", "bearer"):
            headers = {"Authorization": f"{scheme} {key}"}
            assert (await client.post(SCORE, headers=headers)).json()["code"] == "invalid_request"
            assert (await client.get("/metrics", headers=headers)).status_code == 200


@pytest.mark.parametrize("client", [{"api_keys": "clé"}, {"api_keys": "voilà"}], indirect=True)
async def test_keys_are_compared_byte_by_byte(client: httpx.AsyncClient) -> None:
    (key,) = [key for key in ("clé", "voilà") if await opens(client, key)]
    assert not await opens(client, key[:-1])
    assert not await opens(client, key + "\N{NO-BREAK SPACE}")


async def opens(client: httpx.AsyncClient, key: str) -> bool:
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {key}".encode()})
    return answer.status_code == 200


with_proxy = pytest.mark.parametrize(
    ("client", "prefix"),
    [
        ({"trusted_proxies": "127.0.0.0/8, ::1"}, "/quality/v2"),
        ({"trusted_proxies": "*"}, "/quality/v2"),
        ({"trusted_proxies": "10.0.0.0/8"}, ""),
        ({}, ""),
    ],
    indirect=["client"],
)


@with_proxy
async def test_links_start_with_a_trusted_proxys_prefix(
    client: httpx.AsyncClient, prefix: str
) -> None:
    headers = {"X-Forwarded-Prefix": "/quality/v2"}
    page = (await client.get("/", headers=headers)).text
    assert f"url: '{prefix}/openapi.json'" in page
    assert (await client.get("/ui/", headers=headers)).status_code == 200
    assert (await client.post(SCORE, headers=headers)).json()["code"] == "invalid_request"
    script = {"X-Forwarded-Prefix": "/<script>"}
    assert "<script>/" not in (await client.get("/", headers=script)).text


@pytest.mark.parametrize("client", [{"api_keys": "first", "trusted_proxies": "*"}], indirect=True)
@pytest.mark.parametrize("prefix", ["/a", "/ap", "/api", "/api/v1/iqa/nr", "/metrics", "//x"])
async def test_no_prefix_opens_what_a_key_protects(client: httpx.AsyncClient, prefix: str) -> None:
    headers = {"X-Forwarded-Prefix": prefix}
    for path in (SCORE, "/metrics"):
        assert (await client.post(path, headers=headers)).status_code == 401


@open_to_all
@pytest.mark.parametrize("path", ["/", "/ui/", "/healthz", "/metrics", "/openapi.json"])
async def test_head_is_answered_where_get_is(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.head(path)).status_code == 200
    assert (await client.head(SCORE)).status_code == 405


@with_keys
async def test_probes_and_pages_need_no_key(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/", "/ui/", "/openapi.json"):
        assert (await client.get(path)).status_code == 200
    assert (await client.get("/readyz")).json()["code"] == "backend_unavailable"


@with_keys
async def test_the_documentation_says_that_a_key_is_needed(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    route = document["paths"][SCORE]["post"]
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert route["security"] == [{"HTTPBearer": []}]
    assert list(route["responses"]["401"]["content"]) == ["application/problem+json"]


@open_to_all
async def test_without_keys_everybody_may_call(client: httpx.AsyncClient) -> None:
    assert (await client.post(SCORE)).json()["code"] == "invalid_request"
    assert (await client.post(SCORE, headers=BEARER)).json()["code"] == "invalid_request"
    document = (await client.get("/openapi.json")).json()
    assert "401" not in document["paths"][SCORE]["post"]["responses"]


@open_to_all
async def test_other_origins_may_not_read_answers(client: httpx.AsyncClient) -> None:
    answer = await client.post(SCORE, headers={"Origin": "https://a.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@with_origins
async def test_allowed_origins_may_read_answers_refusals_too(client: httpx.AsyncClient) -> None:
    for origin, allowed in (
        ("https://b.example", "https://b.example"),
        ("https://c.example", None),
    ):
        answer = await client.post(SCORE, headers={"Origin": origin})
        assert answer.status_code == 401
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
    preflight = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    answer = await client.options(SCORE, headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == "https://a.example"


@open_to_all
@pytest.mark.parametrize("path", [SCORE, "/healthz", "/nothing", "/", "/ui/", "/openapi.json"])
async def test_answers_tell_browsers_to_run_and_embed_nothing(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = dict(
        directive.strip().split(" ", 1)
        for directive in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert ("script-src" in policy) == (path in ("/", "/ui/"))
    assert "server" not in headers
