"""Sequence numbers of a stream: 0 in the first message, one more in each (contract 1.3)."""

from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.descriptor import Descriptor

from calico_p4.tools.wire import TO_DATAPLANE, VARINT, Field, encode, parse

NAME = "sequence_number"


def numbered(fields: Sequence[Field], number: int, message: Descriptor = TO_DATAPLANE) -> tuple[Field, ...]:
    """Return a message with another sequence number, at the place where it had one; 0 is the default and left out, as Felix does."""
    descriptor = message.fields_by_name[NAME]
    new = (Field(descriptor.number, VARINT, number, descriptor),) if number else ()
    places = [place for place, field in enumerate(fields) if field.number == descriptor.number]
    first = places[0] if places else 0
    rest = [field for field in fields[first:] if field.number != descriptor.number]
    return (*fields[:first], *new, *rest)


def renumbered(payloads: Iterable[bytes]) -> Iterator[bytes]:
    """Yield messages with the sequence numbers of a stream of their own."""
    for number, payload in enumerate(payloads):
        yield encode(numbered(parse(payload), number))
