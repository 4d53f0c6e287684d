"""The project accepts no release of what reads its requests with a known flaw."""

from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

REQUIREMENTS = {
    requirement.name: requirement
    for requirement in map(Requirement, requires("iqa-service") or [])
    if requirement.marker is None or "serve" in str(requirement.marker)
}
# The newest release with a published flaw in reading multipart bodies or forms; of Pillow, the
# newest that keeps the same bytes of a file once for every TIFF or Exif tag that claims them.
FLAWED = {"python-multipart": "0.0.31", "starlette": "1.3.0", "pillow": "12.3.0"}


@pytest.mark.parametrize("name", FLAWED)
def test_flawed_releases_are_ruled_out(name: str) -> None:
    floors = [each.version for each in REQUIREMENTS[name].specifier if each.operator == ">="]
    assert max(map(Version, floors)) > Version(FLAWED[name])
    assert Version(version(name)) > Version(FLAWED[name])
