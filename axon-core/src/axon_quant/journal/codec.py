"""Events as canonical JSON text and back. The first field of every body is its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union, cast

import msgspec

from axon_quant import events
from axon_quant.errors import JournalError
from axon_quant.events import Event


class Note(Event, frozen=True):
    """A fact beside the chain, such as a wall time, a latency or a path. `body` holds what JSON can hold.

    In a run with `chain_notes=True` notes are records of the chain like any event.
    """

    name: str
    body: Mapping[str, object]


EVENT_TYPES: tuple[type[Event], ...] = (
    *(
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, Event) and value is not Event
    ),
    Note,
)

# No floats in these, and so no NaN: null is a price, or a fill, that is not there.
_MAY_LACK_VALUES = frozenset(
    {events.OrderPlaced, events.OrderRefused, events.OrderUpdated, events.OrderAdopted, events.ForeignOrderUpdated}
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(cast("type[Event]", Union[EVENT_TYPES]))  # noqa: UP007 - built at run time


def kind_of(event_type: type[Event]) -> str:
    """The kind that bodies of this type carry: `OrderPlaced` → `order-placed`."""
    return events.kind_of(event_type.__name__)


def kind_in(body: bytes) -> str:
    """The kind of a body: what follows `{"kind":"`."""
    return body[9:].partition(b'"')[0].decode("utf-8", "replace")


def encode(event: Event) -> bytes:
    """The body of a record.

    Raises JournalError for an event that could not be read back: NaN or infinity in a number, or a foreign type.
    """
    try:
        body = _encoder.encode(event)
        if body.find(b"null") >= 0 and type(event) not in _MAY_LACK_VALUES:  # what NaN becomes, and cannot be decoded
            _decoder.decode(body)
    except (msgspec.MsgspecError, TypeError, OverflowError) as error:
        raise JournalError(f"{type(event).__name__} cannot be recorded: {error}: {event!r}") from error
    return body


def decode(body: bytes) -> Event:
    """The event in a body. Raises JournalError for a body that this version of axon cannot read."""
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise JournalError(f"not an event: {error}", hint="was it written by a later version of axon?") from error
