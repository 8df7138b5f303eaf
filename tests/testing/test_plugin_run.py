"""`pytest -p axon_quant.testing.pytest_plugin --pyargs axon_quant.testing.suite --axon-plugin NAME`."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from axon_quant.testing.listing import cases, plain

SUITE = ("--pyargs", "axon_quant.testing.suite", "-p", "no:cacheprovider")


@pytest.fixture
def site(tmp_path):
    """Installs a distribution called `acme` with this plugin module, and others, and returns its folder."""

    def install(plugin: str, **modules: str) -> Path:
        folder = tmp_path / "site"
        info = folder / "acme-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text("[axon_quant]\nacme-entry = acme.plugin\n")
        (folder / "acme").mkdir()
        for name, source in {"__init__": "", "plugin": plugin, **modules}.items():
            (folder / "acme" / f"{name}.py").write_text(dedent(source))
        return folder

    return install


def toy_backends() -> str:
    source = Path(__file__).with_name("toy_backends.py").read_text()
    return source.partition("class Toy(")[0]


BACKEND = """
from axon_quant.plugins import BackendDescriptor, Capability, hookimpl

@hookimpl
def axon_backends():
    yield BackendDescriptor(
        name="npz", target="acme.backend:NpzBackend", summary="A toy.", suffixes=(".npz",),
        capabilities=frozenset({Capability.Batch, Capability.HalfPrecision, Capability.MultiThread}),
    )
"""
EXCHANGE = """
from axon_quant.plugins import ExchangeDescriptor, hookimpl

@hookimpl
def axon_exchanges():
    yield ExchangeDescriptor(name="acme", target="acme.exchange:Adapter")
"""


EXPLAINER = """
from axon_quant.plugins import Capability, ExplainerDescriptor, hookimpl

@hookimpl
def axon_explainers():
    yield ExplainerDescriptor(
        name="toy", target="acme.explain:Named", summary="A toy.", capabilities=frozenset({Capability.Attribution})
    )
"""


def test_a_third_partys_plugin_is_tested_by_name_and_every_id_is_printed(suite_run, site):
    folder = site(BACKEND, backend=toy_backends(), conformance="from acme.backend import make_npz as make_model")
    done = suite_run(*SUITE, "--axon-plugin", "acme-entry", path=(folder,))
    assert done.code == 0, done.text
    assert "conformance of backend npz" in done.text
    printed = set(re.findall(r"^([BE]-\d{3})  (?:passed|skipped)", done.text, re.MULTILINE))
    assert printed == {item.id for item in cases() if item.kind == "backend"}
    assert re.search(r"B-090  passed  infer p50 [\d.]+ µs p99 [\d.]+ µs, raw p50", done.text)


def test_the_built_in_strategies_pass_and_what_no_suite_covers_is_said(suite_run):
    done = suite_run(*SUITE, "--axon-plugin", "axon-core", "-v")
    assert done.code == 0, done.text
    assert "no suite yet for: exchange paper" in done.text
    for name in ("softmax-sharpe", "softmax-sharpe,all_negative=abstain", "weighted-voting"):
        assert f"conformance of ensemble {name} " in done.text
    assert re.search(
        r"conformance of ensemble weighted-voting(.|\n)*E-060  passed  online-weights is not declared", done.text
    )


def test_an_explainer_is_tested_with_its_options(suite_run, site):
    source = Path(__file__).with_name("toy_explainers.py").read_text().partition("class Suite(")[0]
    source += """
class Named(Exact):
    def __init__(self, model, *, prefix="f", **more):
        super().__init__(model, **more)
        self.prefix = prefix

    def names(self, x):
        return tuple(f"{self.prefix}{index}" for index in range(x.size))
"""
    options = 'OPTIONS = {"toy": [{}, {"prefix": "x"}]}'
    done = suite_run(*SUITE, "--axon-plugin", "acme", path=(site(EXPLAINER, explain=source, conformance=options),))
    assert done.code == 0, done.text
    assert "conformance of explainer toy " in done.text
    assert "conformance of explainer toy,prefix=x " in done.text
    printed = set(re.findall(r"^(P-\d{3})  (?:passed|skipped)", done.text, re.MULTILINE))
    assert printed == {item.id for item in cases() if item.kind == "explainer"}
    assert "P-040  skipped counterfactuals is not declared" in done.text


@pytest.mark.parametrize(
    ("plugin", "modules", "message"),
    [
        (EXCHANGE, {}, "there is nothing to test: it offers exchange acme"),
        (BACKEND, {"backend": "class NpzBackend: pass"}, "acme.conformance.make_model is missing"),
        (BACKEND, {"backend": "import nowhere_to_be_found"}, "No module named 'nowhere_to_be_found'"),
        ("1 / 0", {}, "broken: ZeroDivisionError"),
        (BACKEND.replace('summary="A toy."', "api=9"), {}, "wrong-api"),
        ("from axon_quant.plugins import hookimpl\n@hookimpl\ndef axon_backends(): return []", {}, "it offers nothing"),
    ],
    ids=["only an exchange", "no models", "broken target", "broken plugin", "another api", "no descriptors"],
)
def test_nothing_to_test_is_a_failure(suite_run, site, plugin, modules, message):
    done = suite_run(*SUITE, "--axon-plugin", "acme", path=(site(plugin, **modules),))
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert message in done.text
    assert "passed" not in done.text


def test_a_plugin_that_is_not_there_is_a_failure_that_names_the_others(suite_run):
    done = suite_run(*SUITE, "--axon-plugin", "nowhere")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "no plugin is called 'nowhere'; there is: axon-core" in done.text


def test_a_blocked_plugin_is_a_failure(suite_run):
    done = suite_run(*SUITE, "--axon-plugin", "axon-core", AXON_DISABLE_PLUGINS="axon-core")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "AXON_DISABLE_PLUGINS names axon-core" in done.text


def test_without_a_plugin_nothing_is_collected_and_that_fails(suite_run):
    done = suite_run(*SUITE)
    assert done.code == pytest.ExitCode.INTERRUPTED
    assert "nothing to test: run with" in done.text


def test_a_fixture_without_parameters_is_a_failure(suite_run, tmp_path):
    (tmp_path / "test_acme.py").write_text(
        dedent("""
        import pytest
        from axon_quant.testing import BackendConformance

        class TestAcme(BackendConformance):
            @pytest.fixture(params=[])
            def descriptor(self, request): ...
        """)
    )
    done = suite_run("test_acme.py")
    assert done.code == pytest.ExitCode.USAGE_ERROR
    assert "nothing to test: the parameters of test_acme.py::TestAcme::test_b" in done.text


def test_the_listing_is_the_table(suite_run):
    done = suite_run("--axon-list")
    assert done.code == 0
    assert done.text.strip() == plain().strip()
