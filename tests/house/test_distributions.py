"""What all our distributions have in common."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import axon_quant

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted(path.parent for path in ROOT.glob("*/pyproject.toml"))


@pytest.fixture(params=PROJECTS, ids=lambda path: path.name)
def project(request) -> Path:
    return request.param


@pytest.fixture
def declared(project) -> dict:
    return tomllib.loads((project / "pyproject.toml").read_text())["project"]


def test_the_folder_is_called_as_the_distribution(project, declared):
    assert declared["name"] == project.name


def test_there_is_one_version_number(declared):
    assert declared["version"] == axon_quant.__version__


def test_the_licence_is_the_repositorys(project, declared):
    assert declared["license-files"] == ["LICENSE"]
    assert (project / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_it_is_typed_and_requires_a_core_of_its_own_minor_version(project, declared):
    (package,) = (project / "src").iterdir()
    assert (package / "py.typed").exists()
    if project.name != "axon-core":
        major, minor = axon_quant.__version__.split(".")[:2]
        wanted = f"axon-core>={major}.{minor},<{major}.{int(minor) + 1}"
        assert wanted in [re.sub(r"\[.*\]", "", requirement) for requirement in declared["dependencies"]]
