"""What is in the wheels and sdists, and what is not. Run by `nox -s wheels`: archives.py DIST PROJECT…"""

from __future__ import annotations

import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath


def check_wheel(path: Path, license_text: bytes) -> None:
    """One package with py.typed, the licence, and no tests."""
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
        (info,) = {name.parts[0] for name in names if name.parts[0].endswith(".dist-info")}
        (package,) = {name.parts[0] for name in names} - {info}
        assert PurePosixPath(package, "py.typed") in names, f"{path.name} has no py.typed"
        assert archive.read(f"{info}/licenses/LICENSE") == license_text, f"{path.name} has another licence"
        assert b"License-File: LICENSE" in archive.read(f"{info}/METADATA").splitlines()
    for name in names:
        test = "tests" in name.parts or name.name.startswith("test_") or name.name == "conftest.py"
        assert not test, f"{path.name} has {name}"


def check_sdist(path: Path, license_text: bytes) -> None:
    """All it takes to build a wheel, the licence among it."""
    with tarfile.open(path) as archive:
        top = path.name.removesuffix(".tar.gz")
        for name in ("pyproject.toml", "README.md", "PKG-INFO"):
            assert archive.getmember(f"{top}/{name}").isfile(), f"{path.name} has no {name}"
        licence = archive.extractfile(f"{top}/LICENSE")
        assert licence is not None
        assert licence.read() == license_text, f"{path.name} has another licence"


def main() -> None:
    """Check one wheel and one sdist per project."""
    dist, *projects = map(Path, sys.argv[1:])
    license_text = (Path(__file__).resolve().parents[2] / "LICENSE").read_bytes()
    for project in projects:
        declared = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        stem = f"{declared['name'].replace('-', '_')}-{declared['version']}"
        (wheel,) = dist.glob(f"{stem}-*.whl")
        check_wheel(wheel, license_text)
        check_sdist(dist / f"{stem}.tar.gz", license_text)
        print(f"{wheel.name} and {stem}.tar.gz: as they should be")
    assert len(list(dist.iterdir())) == 2 * len(projects), "something else was built"


main()
