"""The project accepts no release of its request parsers with a known flaw."""

from importlib.metadata import requires, version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

REQUIREMENTS = {
    requirement.name: requirement
    for requirement in map(Requirement, requires("iqa-service") or [])
    if requirement.marker is None
}
# The newest release with a published flaw in reading multipart bodies or forms.
FLAWED = {"python-multipart": "0.0.31", "starlette": "1.3.0"}


@pytest.mark.parametrize("name", FLAWED)
def test_flawed_releases_are_ruled_out(name: str) -> None:
    assert not REQUIREMENTS[name].specifier.contains(FLAWED[name])
    assert REQUIREMENTS[name].specifier.contains("999")
    assert Version(version(name)) > Version(FLAWED[name])
