"""Every failure mode, with distributions that pip has installed into a virtual environment."""

from __future__ import annotations

import json

import pytest

PAPER_RUN = """
import sys, tempfile
from pathlib import Path
import attrs
from axon_quant.config import load_config
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments

config = load_config({config!r})
journal = attrs.evolve(config.journal, path=Path(tempfile.mkdtemp()) / "run.db")
config = attrs.evolve(config, journal=journal)
market = GeneratedMarket(build_instruments(config)[0], seconds=12.0)
summary = Replay(config, market=market).run()
print(summary.outcome, summary.decisions > 0, "axon_sleeper.engine" in sys.modules)
"""

LOAD = """
from axon_quant.plugins import load_backend
try:
    print(load_backend({name!r}).__module__)
except Exception as error:
    print(type(error).__name__, error)
"""

IMPORT_ONNX = """
import sys
try:
    from axon_quant import OnnxBackend
    print(OnnxBackend.__module__)
except Exception as error:
    print(isinstance(error, ImportError), f"{type(error).__name__}: {error}")
"""


def rows(environment, **variables):
    done = environment.run("axon", "plugins", "--json", **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def said_of(environment, distribution, **variables):
    """{name: (kind, status, reason)} of a distribution."""
    return {
        row["name"]: (row["kind"], row["status"], row["reason"])
        for row in rows(environment, **variables)
        if row["distribution"] == distribution
    }


@pytest.fixture(scope="session")
def listed(crowd):
    """The rows of the crowd, by distribution."""
    found: dict[str, list[dict[str, object]]] = {}
    for row in rows(crowd):
        found.setdefault(row["distribution"], []).append(row)
    return found


def test_a_good_plugin_shows_all_it_offers(listed):
    assert [row["kind"] for row in listed["axon-acme"]] == ["backend", "ensemble", "exchange", "explainer"]
    assert listed["axon-acme"][0] == {
        "kind": "backend",
        "name": "acme",
        "distribution": "axon-acme",
        "version": "1.2",
        "status": "ok",
        "capabilities": ["batch"],
        "reason": "",
    }
    assert [row["status"] for row in listed["axon-backend-onnx"]] == ["ok"]


@pytest.mark.parametrize(
    ("distribution", "status", "reason"),
    [
        ("axon-broken-import", "broken", "ModuleNotFoundError: No module named 'acme_vendor_sdk'"),
        (
            "axon-garbage",
            "broken",
            "axon_backends(): TypeError: returned {'name': 'swill'}, which is no BackendDescriptor",
        ),
        ("axon-hollow", "missing", "the metadata is there, the package axon_hollow is not"),
        ("axon-quitter", "broken", "SystemExit: quitting"),
        ("axon-loud", "ok", "offers nothing"),
    ],
)
def test_a_plugin_that_fails_as_a_whole_has_one_row_with_the_reason(listed, distribution, status, reason):
    (row,) = listed[distribution]
    assert row == {
        "kind": "plugin",
        "name": distribution.removeprefix("axon-"),
        "distribution": distribution,
        "version": "1.2",
        "status": status,
        "capabilities": [],
        "reason": reason,
    }


def test_a_broken_hook_takes_nothing_but_itself_out_of_use(listed):
    sturdy, failed = listed["axon-broken-hook"]
    assert (sturdy["kind"], sturdy["name"], sturdy["status"]) == ("ensemble", "sturdy", "ok")
    assert (failed["kind"], failed["status"]) == ("plugin", "broken")
    assert failed["reason"] == "axon_backends(): RuntimeError: the hook fell over"


def test_a_name_that_two_distributions_claim_is_nobodys_until_one_is_blocked(crowd, listed):
    for distribution in ("axon-claim-one", "axon-claim-two"):
        contested, only = listed[distribution]
        assert (contested["name"], contested["status"]) == ("contested", "duplicate")
        assert contested["reason"] == (
            "provided by axon-claim-one 1.2 and axon-claim-two 1.2; "
            "block one: AXON_DISABLE_PLUGINS=axon-claim-two:contested"
        )
        assert only["status"] == "ok"
    load = LOAD.format(name="contested")
    assert crowd.python(load).startswith("PluginError the backend 'contested' cannot be used: axon-claim-one 1.2")
    assert crowd.python(load, AXON_DISABLE_PLUGINS="axon-claim-two:contested") == "axon_claim_one.engine"
    assert crowd.python(load, AXON_DISABLE_PLUGINS="claim-one") == "axon_claim_two.engine"
    blocked = said_of(crowd, "axon-claim-two", AXON_DISABLE_PLUGINS="axon-claim-two:contested")
    assert blocked["contested"][1:] == ("blocked", "AXON_DISABLE_PLUGINS names axon-claim-two:contested")
    assert blocked["only-two"][1] == "ok"


def test_what_is_written_for_other_hook_specs_is_refused_by_itself(crowd, listed):
    future, present = listed["axon-future"]
    assert (future["name"], future["status"]) == ("future", "wrong-api")
    assert future["reason"] == "written for version 2 of the hook specs; this core speaks 1"
    assert (present["name"], present["status"]) == ("present", "ok")
    assert "axon-future 1.2 (wrong-api): written for version 2" in crowd.python(LOAD.format(name="future"))


def test_an_unknown_capability_and_one_of_another_kind_are_named(listed):
    backend, exchange = (row["reason"] for row in listed["axon-telepath"])
    assert backend == (
        "axon_backends(): PluginError: BackendDescriptor 'telepath': "
        "'telepathy' is not a Capability of backend plugins that this core knows"
    )
    assert "'batch' is not a Capability of exchange plugins" in exchange


def test_a_blocked_plugin_is_not_imported(crowd):
    assert said_of(crowd, "axon-quitter", AXON_DISABLE_PLUGINS="quitter") == {
        "quitter": ("plugin", "blocked", "AXON_DISABLE_PLUGINS names quitter")
    }
    loud = crowd.run("axon", "plugins", "--json", AXON_DISABLE_PLUGINS="axon_loud")
    assert "Thank you" not in loud.stderr


def test_the_allow_list_admits_whole_plugins_or_single_offers_and_the_built_ins(crowd):
    found = rows(crowd, AXON_LOAD_PLUGINS="axon-claim-two:contested,acme")
    usable = {(row["distribution"], row["name"]) for row in found if row["status"] == "ok"}
    assert usable == {
        ("axon-acme", "acme"),
        ("axon-claim-two", "contested"),
        ("axon-core", "paper"),
        ("axon-core", "softmax-sharpe"),
        ("axon-core", "adahedge"),
        ("axon-core", "boa"),
        ("axon-core", "hard-voting"),
        ("axon-core", "hedge"),
        ("axon-core", "inverse-variance"),
        ("axon-core", "ml-poly"),
        ("axon-core", "soft-voting"),
        ("axon-core", "stacking"),
        ("axon-core", "weighted-voting"),
    }
    out = [row for row in found if row["status"] != "ok"]
    assert {(row["status"], row["reason"]) for row in out} == {("blocked", "AXON_LOAD_PLUGINS does not name it")}


def test_a_name_in_the_environment_that_stands_for_nothing_is_reported(crowd):
    found = rows(crowd, AXON_DISABLE_PLUGINS="axon-acne,quitter", AXON_LOAD_PLUGINS="acme,axon-acme:other,onix")
    odd = {row["name"]: row["reason"] for row in found if row["status"] == "unmatched"}
    assert odd == {
        "axon-acne": "AXON_DISABLE_PLUGINS names it, but no installed plugin is called axon-acne; "
        "did you mean axon-acme?",
        "axon-acme:other": "AXON_LOAD_PLUGINS names it, but axon-acme offers no other; did you mean axon-acme:acme?",
        "onix": "AXON_LOAD_PLUGINS names it, but no installed plugin is called onix; did you mean onnx?",
    }


def test_strict_mode_fails_on_any_of_them(crowd):
    done = crowd.run("axon", "plugins", "--json", AXON_STRICT_PLUGINS="1")
    assert done.returncode == 1
    assert json.loads(done.stdout), "the list is printed all the same"
    answer = crowd.python(LOAD.format(name="acme"), AXON_STRICT_PLUGINS="1")
    assert answer.startswith("PluginError AXON_STRICT_PLUGINS is set and these plugins cannot be used: ")
    assert "axon-quitter 1.2 (broken): SystemExit: quitting" in answer
    good = {"AXON_STRICT_PLUGINS": "1", "AXON_LOAD_PLUGINS": "acme"}
    assert crowd.python(LOAD.format(name="acme"), **good) == "axon_acme.engine"
    misspelt = crowd.python(LOAD.format(name="acme"), **good, AXON_DISABLE_PLUGINS="qitter")
    assert "qitter (unmatched)" in misspelt


def test_the_command_prints_json_and_nothing_else_to_its_output(crowd):
    done = crowd.run("axon", "plugins", "--json")
    assert "Thank you for choosing loud!" in done.stderr
    assert "Thank you" not in done.stdout


@pytest.mark.parametrize("command", [["--help"], ["--version"]], ids=" ".join)
def test_commands_that_need_no_plugin_import_none(crowd, command):
    code = f"""
import sys
from axon_quant.cli import main
try:
    main({command!r})
except SystemExit as end:
    print(end.code, [name for name in sys.modules if name.startswith(("axon_", "pluggy")) and "quant" not in name])
"""
    assert crowd.python(code).splitlines()[-1] == "0 []"


def test_a_configuration_is_valid_among_plugins_that_are_broken_and_names_none_of_them(crowd, root):
    code = f"""
import sys
from axon_quant.cli import main
try:
    main(["validate-config", "-c", {str(root / "examples" / "btcusdt.toml")!r}])
except SystemExit as end:
    print(end.code, "onnxruntime" in sys.modules)
"""
    assert crowd.python(code).splitlines()[-1] == "0 False"


def test_listing_does_not_import_what_the_plugins_provide(crowd):
    code = (
        "import sys\nfrom axon_quant.plugins import installed\nprint(len(installed().rows()) > 10)\n"
        "print([name for name in sys.modules if name.endswith('.engine') or name == 'onnxruntime'])"
    )
    assert crowd.python(code).splitlines()[-2:] == ["True", "[]"]


def test_a_run_that_needs_none_of_them_works_and_does_not_import_the_sleeper(crowd, root):
    out = crowd.python(PAPER_RUN.format(config=str(root / "examples" / "btcusdt.toml")))
    assert out.splitlines()[-1] == "completed True False"


def test_a_missing_first_party_name_says_what_to_install(bare):
    assert bare.python(IMPORT_ONNX) == (
        "True PluginMissingError: OnnxBackend is provided by axon-backend-onnx, which is not installed: "
        'pip install "axon-backend-onnx[cpu]"'
    )
    assert 'pip install "axon-backend-onnx[cpu]"' in bare.python(LOAD.format(name="onnx"))


def test_a_first_party_plugin_that_is_installed_but_broken_is_not_called_missing(venvs):
    answer = venvs.having("broken-onnx").python(IMPORT_ONNX)
    assert answer == (
        "False PluginError: the backend 'onnx' cannot be used: "
        "axon-backend-onnx 0.1.0 (broken): ModuleNotFoundError: No module named 'acme_vendor_sdk'"
    )


def test_nobody_elses_plugin_stands_in_for_a_public_name(venvs):
    fork = venvs.having("onnx-fork")
    assert "OnnxBackend is provided by axon-backend-onnx, which is not installed" in fork.python(IMPORT_ONNX)
    assert fork.python(LOAD.format(name="onnx")) == "axon_onnx_fork.engine", "asked for by name, it is what there is"
