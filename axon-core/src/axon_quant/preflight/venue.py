"""Checks of the venue: reachable, on time, with a key that may trade and nothing more, and trading every symbol."""

from __future__ import annotations

from collections.abc import Iterator

from axon_quant.errors import AuthError, ClockError
from axon_quant.exchange import Capability
from axon_quant.market import Instrument
from axon_quant.preflight.facts import Facts
from axon_quant.preflight.rows import Finding, failed, failed_by, passed, unknown

MOST_DRIFT_MS = 500.0
"""The adapter corrects a drift; one of this size means that nothing keeps this machine's clock."""


def reachable(facts: Facts) -> Finding:
    """Does the venue answer?"""
    venue = facts.venue
    if venue.embedded:
        return passed("the paper venue lives in the run's own process")
    if venue.error is not None and not isinstance(venue.error, AuthError | ClockError):
        return failed_by(venue.error, "check the network and the venue's own status page")
    where = "its testnet" if facts.config.exchange.testnet else "PRODUCTION"
    return passed(f"{venue.name} answers, {where}")


def clock(facts: Facts) -> Finding:
    """Does this machine's clock agree with the venue's?"""
    venue = facts.venue
    if venue.embedded:
        return passed("the paper venue goes by the market's time")
    if isinstance(venue.error, ClockError):
        return failed(str(venue.error), "run chrony or systemd-timesyncd on this machine")
    if venue.drift_ms is None:
        return unknown("the venue has not told its time", "compare this machine's clock by hand: chronyc tracking")
    told = f"{abs(venue.drift_ms):.0f} ms {'behind' if venue.drift_ms > 0 else 'ahead of'} the venue's"
    told = f"this machine's clock is {told}, give or take {venue.drift_error_ms:.0f} ms"
    if not abs(venue.drift_ms) - venue.drift_error_ms <= MOST_DRIFT_MS:
        return failed(told, "run chrony or systemd-timesyncd on this machine")
    return passed(told)


def key(facts: Facts) -> Finding:
    """May the key trade, and not withdraw?"""
    venue = facts.venue
    if venue.embedded:
        return passed("the paper venue needs no key")
    if isinstance(venue.error, AuthError):
        return failed_by(venue.error, "make a key at the venue that may trade and not withdraw")
    if venue.error is not None:
        return _not_connected()
    if Capability.KeyPermissions not in venue.capabilities:
        return unknown("the key is taken, but this venue does not tell what it may do", "look at the venue's own page")
    if facts.config.exchange.testnet:
        return passed("the testnet's key is taken; it may trade and may not withdraw. Production's key is another one")
    return passed("the key is taken; it may trade and may not withdraw")


def symbols(facts: Facts) -> Finding:
    """Does the venue trade every symbol, on the grid that is configured, and does its market arrive?"""
    config, venue = facts.config, facts.venue
    if venue.embedded:
        return passed(f"the paper venue trades {', '.join(config.market.symbols)}")
    if venue.error is not None:
        return _not_connected()
    wrong = []
    for entry in config.market.instruments:
        if entry.symbol not in config.market.symbols:
            continue
        found = venue.instruments.get(entry.symbol)
        if found is None:
            wrong.append(f"{entry.symbol}: the venue does not trade it")
            continue
        wrong += [f"{entry.symbol}: {text}" for text in _differences(entry.instrument(venue.name), found)]
        if venue.streams and entry.symbol not in venue.heard:
            wrong.append(f"{entry.symbol}: no market data within {facts.patience:g} s")
    if wrong:
        return failed("; ".join(wrong), "correct [market], or leave the symbol out until the venue trades it again")
    heard = "; market data of each arrives" if venue.streams else ""
    return passed(f"{', '.join(config.market.symbols)}: traded, on the configured grid{heard}")


def _differences(ours: Instrument, theirs: Instrument) -> Iterator[str]:
    """What of the grid is not the venue's. A larger minimum of our own does no harm."""
    for name in ("base", "quote", "tick_size", "lot_size"):
        if getattr(ours, name) != getattr(theirs, name):
            yield f"{name} is {getattr(ours, name)} here and {getattr(theirs, name)} at the venue"
    if ours.min_notional < theirs.min_notional:
        yield f"min_notional is {ours.min_notional} here and {theirs.min_notional} at the venue"


def _not_connected() -> Finding:
    return unknown("the venue could not be connected to", "see the rows venue, clock and key")
