"""The registry within one process."""

from __future__ import annotations

import inspect
import re

import pytest

from axon_quant.errors import PluginError
from axon_quant.plugins import Capability, EnsembleDescriptor, Registry, hookspecs, load_ensemble, resolve
from axon_quant.plugins.discovery import Selection
from axon_quant.plugins.hookspecs import HOOKS


def test_the_built_in_strategies_load_by_name():
    assert load_ensemble("softmax-sharpe").__name__ == "SoftmaxSharpe"
    assert load_ensemble("weighted-voting").__name__ == "WeightedVoting"


def test_a_misspelled_name_gets_a_suggestion():
    with pytest.raises(PluginError, match="did you mean 'softmax-sharpe'"):
        load_ensemble("softmax-sharp")


def test_a_name_that_is_in_no_table_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchBackend"):
        resolve("NoSuchBackend")


def test_an_explicit_set_of_plugins_replaces_the_installed_ones():
    registry = Registry(Selection(), found=())
    assert registry.rows() == ()
    with pytest.raises(PluginError, match="there is: none"):
        registry.load("ensemble", "softmax-sharpe")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "Upper"}, "name 'Upper'"),
        ({"name": ""}, "name ''"),
        ({"target": "module.Attr"}, "not 'module:Attribute'"),
        ({"capabilities": frozenset({"fast"})}, "'fast' is not a Capability"),
        ({"capabilities": frozenset({Capability.Batch})}, "'batch' is not a Capability of ensemble plugins"),
        ({"capabilities": [Capability.Gains]}, "is not a frozenset"),
        ({"api": "1"}, "not an integer"),
        ({"api": True}, "not an integer"),
    ],
)
def test_a_descriptor_that_cannot_be_used_is_refused(change, message):
    fields = {"name": "acme", "target": "acme.rule:Rule", "capabilities": frozenset({Capability.Gains})}
    EnsembleDescriptor(**fields)
    with pytest.raises(PluginError, match=message):
        EnsembleDescriptor(**(fields | change))


@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_every_hook_works_as_written(hook):
    docstring = inspect.getdoc(getattr(hookspecs, hook))
    code = inspect.cleandoc(re.split(r"A full plugin module:\n", docstring)[1])
    namespace: dict[str, object] = {}
    exec(code, namespace)
    (descriptor,) = namespace[hook]()
    assert isinstance(descriptor, HOOKS[hook])


def test_what_the_paper_venue_declares_is_what_its_class_declares():
    paper = pytest.importorskip("axon_quant.exchange", reason="the exchange stage is not in this tree").PaperAdapter
    (descriptor,) = [item for item in Registry().descriptors("exchange") if item.name == "paper"]
    assert descriptor.capabilities == paper.capabilities
