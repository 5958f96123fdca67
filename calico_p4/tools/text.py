"""Streams as text: protobuf's text format on one line a message, fields in the order of the wire, and back to the same bytes.

    ipset_update { id: "s:abc" members: "10.0.0.1/32" type: NET } sequence_number: 7

A field the schema does not have goes by its number: ``99: 5`` (varint), ``99: 0x00000005`` and ``99: 0x0000000000000005`` (fixed, 4 and
8 bytes), ``99: "bytes"``. ``@bytes: "0a8100"`` stands for bytes that have no other spelling, in hexadecimal. A message without any
field is ``{}``. ``#`` begins a comment that goes to the end of the line; empty lines are passed over.
"""

import re
import struct
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from calico_p4.tools.wire import BYTES, FIXED32, FIXED64, TO_DATAPLANE, VARINT, VERBATIM, Field, encode, parse

_VERBATIM_NAME = "@bytes"
_EMPTY = "{}"
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_UNESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", '"': b'"', "\\": b"\\"}


class TextError(ValueError):
    """A line that is no message; ``column`` counts from 1."""

    def __init__(self, column: int, reason: str) -> None:
        super().__init__(f"column {column}: {reason}")
        self.column = column
        self.reason = reason


def to_text(payload: bytes, message: Descriptor = TO_DATAPLANE) -> str:
    """Return the line for a frame's payload, without a newline."""
    return _message(parse(payload, message)) or _EMPTY


def to_bytes(line: str, message: Descriptor = TO_DATAPLANE) -> bytes | None:
    """Return the payload that a line stands for, None for a line without a message. Raises TextError."""
    fields = to_fields(line, message)
    return None if fields is None else encode(fields)


# --- writing


def _message(fields: tuple[Field, ...]) -> str:
    return " ".join([_field(field) for field in fields])


def _field(field: Field) -> str:
    if field.wire_type == VERBATIM:
        return f'{_VERBATIM_NAME}: "{field.value.hex()}"'
    if isinstance(field.value, tuple):
        inner = _message(field.value)
        return f"{field.name} {{ {inner} }}" if inner else f"{field.name} {_EMPTY}"
    return f"{field.name}: {_scalar(field)}"


def _scalar(field: Field) -> str:
    value, descriptor = field.value, field.descriptor
    if field.wire_type == BYTES:
        return quote(value)
    if field.wire_type == FIXED32:
        return f"0x{value:08x}"
    if field.wire_type == FIXED64:
        return _double(value) if descriptor is not None else f"0x{value:016x}"
    return str(value) if descriptor is None else _number(value, descriptor)


def _number(value: int, descriptor: FieldDescriptor) -> str:
    if descriptor.type == FieldDescriptor.TYPE_BOOL:
        return ("false", "true")[value] if value < 2 else str(value)
    if descriptor.type in (FieldDescriptor.TYPE_UINT32, FieldDescriptor.TYPE_UINT64):
        return str(value)
    signed = value - (1 << 64) if value >= 1 << 63 else value
    named = descriptor.enum_type.values_by_number.get(signed) if descriptor.enum_type is not None else None
    return named.name if named is not None else str(signed)


def _double(bits: int) -> str:
    """Return a floating-point number so that it reads back to the same bits."""
    data = bits.to_bytes(8, "little")
    text = repr(struct.unpack("<d", data)[0])
    return text if text not in ("nan", "-nan", "inf", "-inf") else f"0x{bits:016x}"


def quote(content: bytes) -> str:
    """Return bytes as a quoted string: UTF-8 as it is, everything that is not or can't be seen escaped."""
    text = content.decode(errors="surrogateescape")
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return '"' + "".join(_ESCAPES.get(char) or _seen(char) for char in text) + '"'


def _seen(char: str) -> str:
    if char.isprintable():
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode(errors="surrogateescape"))


# --- reading

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<word>@?[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>-?[0-9][0-9a-zA-Z.+-]*)
      | (?P<mark>[:{}])
      | (?P<comment>\#.*)
      | (?P<bad>\S)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")


class _Tokens:
    """The tokens of a line, one after the other; ``kind`` is "" at the end."""

    def __init__(self, line: str) -> None:
        self._matches: Iterator[re.Match[str]] = _TOKEN.finditer(line.rstrip())
        self.kind, self.text, self.column = "", "", 1
        self.advance()

    def advance(self) -> None:
        """Go to the next token."""
        match = next(self._matches, None)
        self.kind = "" if match is None or match.lastgroup in (None, "comment") else str(match.lastgroup)
        if match is not None and match.lastgroup is not None:
            self.text, self.column = match[match.lastgroup], match.start(match.lastgroup) + 1
        else:
            self.text = ""

    def fail(self, expected: str) -> TextError:
        """Return the error for a token that should not be here."""
        found = repr(self.text) if self.kind else "the end of the line"
        return TextError(self.column, f"{expected} expected, found {found}")

    def take(self, mark: str) -> None:
        """Pass over one of the marks ``:``, ``{`` and ``}``."""
        if (self.kind, self.text) != ("mark", mark):
            raise self.fail(repr(mark))
        self.advance()


def to_fields(line: str, message: Descriptor = TO_DATAPLANE) -> tuple[Field, ...] | None:
    """Return the fields of the message on a line, None if there is none. Raises TextError."""
    tokens = _Tokens(line)
    if not tokens.kind:
        return None
    if tokens.text == "{":
        tokens.advance()
        tokens.take("}")
        if tokens.kind:
            raise tokens.fail("the end of the line")
        return ()
    fields = tuple(_read_fields(tokens, message))
    if tokens.kind:
        raise tokens.fail("a field")
    return fields


def _read_fields(tokens: _Tokens, message: Descriptor | None) -> Iterator[Field]:
    while tokens.kind in ("word", "number"):
        yield _read_field(tokens, message)


def _read_field(tokens: _Tokens, message: Descriptor | None) -> Field:
    name, column = tokens.text, tokens.column
    tokens.advance()
    if name == _VERBATIM_NAME:
        return _read_verbatim(tokens)
    number, descriptor = _find(name, column, message)
    if tokens.text == "{" and tokens.kind == "mark":
        if descriptor is not None and descriptor.message_type is None:
            raise TextError(column, f"{name} is no message")
        tokens.advance()
        inner = tuple(_read_fields(tokens, descriptor.message_type if descriptor is not None else None))
        tokens.take("}")
        return Field(number, BYTES, inner, descriptor)
    tokens.take(":")
    wire_type, value = _read_scalar(tokens, descriptor)
    return Field(number, wire_type, value, descriptor)


def _find(name: str, column: int, message: Descriptor | None) -> tuple[int, FieldDescriptor | None]:
    """Return the number of a field, and what the schema says of it if it was named."""
    if name.isdigit():
        if not 0 < int(name) < 1 << 29:
            raise TextError(column, f"{name} is no field number")
        return int(name), None
    field = message.fields_by_name.get(name) if message is not None else None
    if field is None:
        raise TextError(column, f"{message.name if message is not None else 'a field that goes by its number'} has no field {name!r}")
    return field.number, field


def _read_verbatim(tokens: _Tokens) -> Field:
    tokens.take(":")
    try:
        content = bytes.fromhex(unquote(tokens.text).decode()) if tokens.kind == "string" else None
    except ValueError:
        content = None
    if content is None:
        raise tokens.fail("a string of hexadecimal digits")
    tokens.advance()
    return Field(0, VERBATIM, content)


def _read_scalar(tokens: _Tokens, descriptor: FieldDescriptor | None) -> tuple[int, int | bytes]:
    kind, text = tokens.kind, tokens.text
    if kind not in ("string", "word", "number"):
        raise tokens.fail("a value")
    try:
        result = (BYTES, unquote(text)) if kind == "string" else _read_number(text, descriptor)
    except (ValueError, KeyError, OverflowError):
        expected = f"a value of {descriptor.name}" if descriptor is not None else "a number or a string"
        raise tokens.fail(expected) from None
    _check(tokens, result[0], descriptor)
    tokens.advance()
    return result


def _check(tokens: _Tokens, wire_type: int, descriptor: FieldDescriptor | None) -> None:
    """Refuse a string where the schema has a number, and the other way round: by its number a field can have either."""
    if descriptor is None:
        return
    of_number = descriptor.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_MESSAGE, FieldDescriptor.TYPE_BYTES)
    if of_number != (wire_type != BYTES):
        raise tokens.fail(f"a {'number' if of_number else 'string'} for {descriptor.name}")


def _read_number(text: str, descriptor: FieldDescriptor | None) -> tuple[int, int]:
    if text in ("true", "false"):
        return VARINT, int(text == "true")
    if text.startswith("0x"):
        wire_type = {10: FIXED32, 18: FIXED64}[len(text)]
        return wire_type, int(text, 16)
    if descriptor is not None and descriptor.type == FieldDescriptor.TYPE_DOUBLE:
        return FIXED64, int.from_bytes(struct.pack("<d", float(text)), "little")
    if descriptor is not None and descriptor.enum_type is not None and not text.lstrip("-").isdigit():
        return VARINT, _unsigned(descriptor.enum_type.values_by_name[text].number)
    return VARINT, _unsigned(int(text))


def _unsigned(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 64:
        raise ValueError("more than 64 bits")
    return value % (1 << 64)


def unquote(text: str) -> bytes:
    """Return the bytes of a quoted string. Raises ValueError for an escape that does not exist."""
    inner = text[1:-1]
    if "\\" not in inner:
        return inner.encode(errors="surrogateescape")
    out, position = bytearray(), 0
    for match in _ESCAPE.finditer(inner):
        out += inner[position : match.start()].encode(errors="surrogateescape") + _unescape(match[1])
        position = match.end()
    return bytes(out) + inner[position:].encode(errors="surrogateescape")


def _unescape(code: str) -> bytes:
    if len(code) == 3:
        return bytes((int(code[1:], 16),))
    if code not in _UNESCAPES:
        raise ValueError(f"no escape \\{code}")
    return _UNESCAPES[code]
