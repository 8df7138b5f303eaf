"""Which backend reads a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import axon_quant
from axon_quant import backend_for
from axon_quant.errors import PluginError, PluginMissingError
from axon_quant.plugins import BackendDescriptor, Registry, first_party, hookimpl
from axon_quant.plugins.discovery import Selection, Source


def source(name: str, *suffixes: str) -> Source:
    @hookimpl
    def axon_backends():
        return [BackendDescriptor(name=name, target="nowhere:Engine", suffixes=suffixes)]

    module = ModuleType(f"axon_test_{name}")
    vars(module)["axon_backends"] = axon_backends
    return Source(name, f"axon-backend-{name}", "1.0", lambda: module, module.__name__)


def registry(*found: Source, blocked: str = "") -> Registry:
    return Registry(Selection.from_environment({"AXON_DISABLE_PLUGINS": blocked}), found)


@pytest.mark.parametrize("path", ["models/production.onnx", Path("a.b.onnx"), ".onnx", "SHOUTED.ONNX"])
def test_the_suffix_tells_and_nothing_is_opened(path):
    assert backend_for(path) == "onnx"
    assert backend_for("models/production.safetensors") == "safetensors"


def test_what_it_returns_makes_a_configuration():
    config = axon_quant.ModelConfig("m.onnx", backend_for("m.onnx"))
    assert config.backend is not None
    assert config.backend == axon_quant.InferenceBackend.ONNX


def test_the_longer_suffix_decides():
    both = registry(source("plain", ".pt"), source("scripted", ".scripted.pt"))
    assert backend_for("model.pt", registry=both) == "plain"
    assert backend_for("model.scripted.pt", registry=both) == "scripted"


def test_several_readers_are_listed():
    rivals = registry(source("zeta", ".acme"), source("alpha", ".acme"), source("other", ".other"))
    with pytest.raises(PluginError, match=r"several backends read 'm\.acme': alpha, zeta \(name one of them\)"):
        backend_for("models/m.acme", registry=rivals)
    assert backend_for("m.other", registry=rivals) == "other"


@pytest.mark.parametrize(
    ("suffix", "requirement"),
    [
        (".onnx", "axon-backend-onnx[cpu]"),
        (".safetensors", "axon-backend-safetensors"),
        (".pt", "axon-backend-torch"),
        (".torchscript", "axon-backend-torch"),
        (".pt2", "axon-backend-torch"),
    ],
)
def test_a_file_of_ours_without_its_backend_names_the_command(suffix, requirement):
    with pytest.raises(PluginMissingError) as caught:
        backend_for(f"model{suffix}", registry=registry())
    assert f'pip install "{requirement}"' in str(caught.value)


def test_a_backend_that_is_blocked_is_not_called_missing():
    with pytest.raises(PluginError, match="AXON_DISABLE_PLUGINS names axon-backend-onnx") as caught:
        backend_for("m.onnx", registry=registry(source("onnx", ".onnx"), blocked="axon-backend-onnx"))
    assert not isinstance(caught.value, PluginMissingError)


def test_somebody_elses_backend_may_read_a_file_of_ours():
    assert backend_for("m.pt", registry=registry(source("acme", ".pt"))) == "acme"


@pytest.mark.parametrize("path", ["model.xyz", "acme", "model", "", "model.acme/"])
def test_a_file_that_nobody_reads_is_named_with_what_can_be_read(path):
    known = registry(source("acme", ".acme", ".a2"))
    with pytest.raises(PluginError) as caught:
        backend_for(path, registry=known)
    assert "there is: .acme (acme), .a2 (acme)" in str(caught.value)


def test_the_core_knows_the_suffixes_that_our_distributions_declare(root):
    for own in first_party.FIRST_PARTY.values():
        if own.kind == "backend":
            (file,) = (root / own.distribution / "src").glob("*/plugin.py")
            spec = importlib.util.spec_from_file_location("axon_test_plugin", file)
            assert spec is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            (descriptor,) = module.axon_backends()
            assert own.suffixes == descriptor.suffixes
