"""The page on which people see quality: static files, and the policy that they live under."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

FOLDER = Path(__file__).with_name("ui")
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-cache",  # an upgraded service must not meet yesterday's script
}

router = APIRouter(include_in_schema=False)


def _serve(path: Path) -> None:
    content, kind = path.read_bytes(), TYPES[path.suffix]

    @router.get("/ui/" if path.stem == "index" else f"/ui/{path.relative_to(FOLDER)}")
    async def file() -> Response:
        return Response(content, headers=HEADERS, media_type=kind)


for _path in sorted(FOLDER.rglob("*.*")):
    _serve(_path)


@router.get("/ui")
async def page() -> Response:
    """The page's own links are relative to a path with its last slash."""
    return RedirectResponse("ui/")
