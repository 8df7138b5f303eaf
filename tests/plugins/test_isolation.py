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


@pytest.mark.parametrize("token", ["acme-backend", "ACME_backend", "entry"])
def test_a_blocked_plugin_is_not_even_imported(site, token):
    site.add("acme-backend", "raise SystemExit('imported')", entry="entry")
    row = site.row("acme-backend", AXON_DISABLE_PLUGINS=f"other, {token}")
    assert row["status"] == "blocked"
    assert "AXON_DISABLE_PLUGINS" in row["reason"]


def test_a_target_that_cannot_be_imported_names_the_distribution_and_the_cause(site):
    site.add_backend("acme-backend", "acme", engine="import nowhere_to_be_found\n")
    answer = site.load("acme")
    assert answer.startswith("PluginError acme-backend 1.2: the backend 'acme' is installed, but")
    assert "No module named 'nowhere_to_be_found'" in answer


def test_a_plugin_that_is_slow_to_say_what_it_offers_is_usable_and_reported(site):
    site.add_backend("acme-backend", "acme")
    plugin = site.folder / "acme_backend" / "plugin.py"
    plugin.write_text("import time\ntime.sleep(0.6)\n" + plugin.read_text())
    row = site.row("acme-backend")
    assert row["status"] == "ok"
    assert "s to say what it offers; a plugin module should import nothing heavy" in row["reason"]


def test_an_empty_allow_list_admits_the_built_ins_only(site):
    site.add_backend("acme-backend", "acme")
    rows = site.rows(AXON_LOAD_PLUGINS="")
    assert {row["distribution"] for row in rows if row["status"] == "ok"} == {"axon-core"}


def test_a_distribution_that_offers_a_name_twice_is_told_so(site):
    twice = """
        from axon_quant.plugins import BackendDescriptor, hookimpl

        @hookimpl
        def axon_backends():
            return [BackendDescriptor(name="acme", target="acme_backend.engine:Engine", api=1)] * 2
    """
    site.add("acme-backend", twice)
    rows = [row for row in site.rows() if row["distribution"] == "acme-backend"]
    assert {row["status"] for row in rows} == {"duplicate"}
    assert "one distribution may offer a name once" in rows[0]["reason"]


def test_a_descriptor_class_of_its_own_is_refused(site):
    unchecked = """
        from axon_quant.plugins import BackendDescriptor, hookimpl

        class Unchecked(BackendDescriptor, frozen=True):
            def __post_init__(self):
                pass

        @hookimpl
        def axon_backends():
            return [Unchecked(name=3, target=None)]
    """
    site.add("acme-backend", unchecked)
    assert "which is no BackendDescriptor" in site.row("acme-backend")["reason"]
