"""docs/plugins.md tells every hook, and its examples work as written."""

from __future__ import annotations

import re

import pytest

from axon_quant.plugins import Capability
from axon_quant.plugins.hookspecs import HOOKS


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "plugins.md").read_text()


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_its_section_and_a_full_example_that_works(page, hook):
    assert f"### `{hook}`" in page
    (example,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.S) if f"def {hook}()" in code]
    namespace: dict[str, object] = {}
    exec(example, namespace)
    (descriptor,) = namespace[hook]()
    assert type(descriptor) is HOOKS[hook]
    assert descriptor.capabilities


def test_every_field_of_a_descriptor_is_told(page):
    table = page.partition("## Descriptors")[2].partition("## Hooks")[0]
    for descriptor in HOOKS.values():
        for field in descriptor.__struct_fields__:
            assert f"`{field}`" in table


def test_the_capabilities_that_are_named_exist(page):
    lines = re.findall(r"Capabilities: (.*?)\.", page)
    assert len(lines) == 3
    for name in re.findall(r"`(\w+)`", " ".join(lines)):
        assert name in Capability.__members__


def test_every_status_and_variable_is_told(page, root):
    source = "".join(path.read_text() for path in (root / "axon-core/src/axon_quant/plugins").glob("*.py"))
    for variable in set(re.findall(r"AXON_[A-Z_]+", source)):
        assert f"`{variable}" in page
    statuses = {"ok", "broken", "missing", "duplicate", "wrong-api", "blocked", "unmatched"}
    assert {status for status in statuses if f'"{status}"' in source} == statuses
    assert set(re.findall(r"^\| `([\w-]+)` \|", page.partition("## What axon does")[2], re.M)) == statuses | {
        "AXON_DISABLE_PLUGINS",
        "AXON_LOAD_PLUGINS",
    }
