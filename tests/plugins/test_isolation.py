"""Every way a plugin can be unusable: reported with distribution, version and reason, and harmless to the others."""

from __future__ import annotations

import pytest

BROKEN_HOOK = """
from axon_quant.plugins import hookimpl

@hookimpl
def axon_backends():
    yield from ()
    raise RuntimeError("the hook fell over")
"""

BAD_TARGET = """
from axon_quant.plugins import BackendDescriptor, hookimpl

@hookimpl
def axon_backends():
    return [BackendDescriptor(name="acme", target="no-colon")]
"""


def test_a_working_plugin_is_listed_and_loaded(site):
    site.add_backend("acme-backend", "acme")
    assert site.row("acme-backend") == {
        "kind": "backend",
        "name": "acme",
        "distribution": "acme-backend",
        "version": "1.2",
        "status": "ok",
        "capabilities": [],
        "reason": "",
    }
    assert site.load("acme") == "acme_backend.engine"


def test_listing_imports_no_target(site):
    site.add_backend("acme-backend", "acme", engine="raise SystemExit('imported')\n")
    assert site.row("acme-backend")["status"] == "ok"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0", "ZeroDivisionError"),
        ("class Mute(Exception):\n    __str__ = None\nraise Mute", "Mute"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        (BROKEN_HOOK, "axon_backends(): RuntimeError: the hook fell over"),
        ("x = 1", "implements no hook"),
        ("from axon_quant.plugins import hookimpl\n@hookimpl\ndef axon_backend(): return []", "which is no hook"),
        ("from axon_quant.plugins import hookimpl\n@hookimpl\ndef axon_backends(): return [1]", "BackendDescriptor"),
        ("from axon_quant.plugins import hookimpl\n@hookimpl\ndef axon_backends(x): return []", "axon_backends"),
        (BAD_TARGET, "is not 'module:Attribute'"),
    ],
)
def test_a_broken_plugin_is_reported_and_the_others_work(site, source, reason):
    site.add("broken-backend", source)
    site.add_backend("acme-backend", "acme")
    row = site.row("broken-backend")
    assert (row["kind"], row["version"], row["status"]) == ("plugin", "1.2", "broken")
    assert reason in row["reason"]
    assert site.load("acme") == "acme_backend.engine"


def test_asking_for_an_unknown_name_points_at_the_broken_plugin_that_may_provide_it(site):
    site.add("acme-backend", "1 / 0")
    assert "acme-backend 1.2 (broken): ZeroDivisionError" in site.load("acme")


def test_metadata_without_its_package_is_missing_not_broken(site):
    package = site.add("acme-backend", "")
    for file in (site.folder / package).iterdir():
        file.unlink()
    (site.folder / package).rmdir()
    row = site.row("acme-backend")
    assert (row["status"], row["reason"]) == ("missing", "the metadata is there, the package acme_backend is not")


def test_unreadable_metadata_is_reported(site):
    site.add_backend("acme-backend", "acme")
    (site.folder / "acme_backend-1.2.dist-info" / "entry_points.txt").write_bytes(b"[axon_quant]\na = \xff\xfe")
    rows = [row for row in site.rows() if row["status"] == "broken"]
    assert len(rows) == 1
    assert "metadata cannot be read" in rows[0]["reason"]


def test_a_duplicate_name_is_unusable_until_one_is_blocked(site):
    site.add_backend("acme-backend", "acme")
    site.add_backend("evil-backend", "acme", entry="acme-backend")
    rows = {row["distribution"]: row for row in site.rows() if row["name"] == "acme"}
    assert {row["status"] for row in rows.values()} == {"duplicate"}
    assert "acme-backend 1.2 and evil-backend 1.2" in rows["evil-backend"]["reason"]
    assert "cannot be used" in site.load("acme")
    assert site.load("acme", AXON_DISABLE_PLUGINS="evil-backend") == "acme_backend.engine"
    assert site.load("acme", AXON_DISABLE_PLUGINS="Acme_Backend:acme") == "evil_backend.engine"


def test_nobody_can_replace_a_built_in_silently(site):
    source = """
        from axon_quant.plugins import ExchangeDescriptor, hookimpl

        @hookimpl
        def axon_exchanges():
            return [ExchangeDescriptor(name="paper", target="evil_exchange.engine:Engine")]
    """
    site.add("evil-exchange", source)
    rows = [row for row in site.rows() if row["name"] == "paper"]
    assert {(row["distribution"], row["status"]) for row in rows} == {
        ("axon-core", "duplicate"),
        ("evil-exchange", "duplicate"),
    }


def test_another_version_of_the_hook_specs_is_refused(site):
    site.add_backend("acme-backend", "acme", api=2)
    row = site.row("acme-backend")
    assert row["status"] == "wrong-api"
    assert "version 2 of the hook specs; this core speaks 1" in row["reason"]
    assert "wrong-api" in site.load("acme")


@pytest.mark.parametrize("token", ["acme-backend", "ACME_backend", "entry"])
def test_a_blocked_plugin_is_not_even_imported(site, token):
    site.add("acme-backend", "raise SystemExit('imported')", entry="entry")
    row = site.row("acme-backend", AXON_DISABLE_PLUGINS=f"other, {token}")
    assert row["status"] == "blocked"
    assert "AXON_DISABLE_PLUGINS" in row["reason"]


def test_the_allow_list_admits_only_what_it_names_and_the_built_ins(site):
    site.add_backend("acme-backend", "acme")
    site.add_backend("other-backend", "other")
    rows = {row["name"]: row["status"] for row in site.rows(AXON_LOAD_PLUGINS="acme-backend")}
    assert (rows["acme"], rows["other-backend"], rows["paper"]) == ("ok", "blocked", "ok")
    assert {row["status"] for row in site.rows(AXON_LOAD_PLUGINS="") if row["kind"] == "backend"} == set()


def test_strict_mode_turns_any_failure_into_an_error(site):
    site.add_backend("acme-backend", "acme")
    site.add("broken-backend", "1 / 0")
    answer = site.load("acme", AXON_STRICT_PLUGINS="1")
    assert answer.startswith("PluginError")
    assert "broken-backend 1.2 (broken): ZeroDivisionError" in answer
    assert site.load("acme", AXON_STRICT_PLUGINS="1", AXON_DISABLE_PLUGINS="broken-backend") == "acme_backend.engine"


def test_a_target_that_cannot_be_imported_names_the_distribution_and_the_cause(site):
    site.add_backend("acme-backend", "acme", engine="import nowhere_to_be_found\n")
    answer = site.load("acme")
    assert answer.startswith("PluginError acme-backend 1.2: the backend 'acme' is installed, but")
    assert "No module named 'nowhere_to_be_found'" in answer
