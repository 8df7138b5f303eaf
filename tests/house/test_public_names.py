"""`import axon_quant` is light, and its names are all there."""

from __future__ import annotations

import subprocess
import sys

import pytest

import axon_quant
from axon_quant import errors
from axon_quant.errors import AxonError

HEAVY = ["numpy", "torch", "onnxruntime", "shap", "ccxt", "click", "opentelemetry"]


def modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint('\\n'.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in output.split()}


def test_importing_axon_imports_nothing_heavy():
    assert not modules_after("import axon_quant") & {*HEAVY, "attrs", "msgspec", "pluggy"}


def test_a_model_configuration_needs_no_numpy():
    assert not modules_after("from axon_quant import ModelConfig, Device, InferenceBackend") & set(HEAVY)


def test_help_needs_nothing_heavy_but_click():
    heavy = {*HEAVY, "rich", "cattrs"} - {"click"}
    assert not modules_after("from axon_quant.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass") & heavy


def test_every_public_name_resolves():
    for name in axon_quant.__all__:
        assert getattr(axon_quant, name).__name__ == name


def test_all_names_the_lazy_table_and_is_sorted():
    assert axon_quant.__all__ == sorted(axon_quant._OWNERS)
    assert set(axon_quant.__all__) <= set(dir(axon_quant))


def test_a_name_that_nobody_provides_says_so():
    with pytest.raises(AttributeError, match="NoSuchThing"):
        axon_quant.NoSuchThing  # noqa: B018
    assert not hasattr(axon_quant, "no_such_thing")


def test_the_error_tree_in_the_docstring_is_the_tree():
    drawn = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        name = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").rstrip()
        if "Error" not in name or not line.startswith("    "):
            continue
        depth = (len(name) - len(name.lstrip()) - 4) // 4
        word = name.split()[0]
        path[depth:] = [word]
        drawn[word] = path[depth - 1] if depth else "Exception"
    real = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, AxonError)
    }
    assert drawn == real
