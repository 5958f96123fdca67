"""What the target refuses, each with the code that the P4Runtime specification names."""

from __future__ import annotations

from google.rpc import code_pb2


class LoadError(ValueError):
    """A pipeline that can't be loaded: the assembly, the context or P4Info is wrong, or asks for what we do not have.

    The message names the file and, for the assembly, the line.
    """


class Refused(Exception):
    """A request, or one update of it, that is refused.

    Attributes: `code`, a canonical code (google.rpc.Code); `message`, which names table, field and value.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code_pb2.Code.Name(code)}: {message}")
        self.code = code
        self.message = message


def invalid(message: str) -> Refused:
    """The entity is malformed."""
    return Refused(code_pb2.INVALID_ARGUMENT, message)


def out_of_range(message: str) -> Refused:
    """A byte string is empty or its value too wide (8.3), or an index lies beyond its array (9.3.2)."""
    return Refused(code_pb2.OUT_OF_RANGE, message)


def not_found(message: str) -> Refused:
    """The entity, device or role does not exist."""
    return Refused(code_pb2.NOT_FOUND, message)


def exists(message: str) -> Refused:
    """The entity exists already."""
    return Refused(code_pb2.ALREADY_EXISTS, message)


def denied(message: str) -> Refused:
    """What the program declared constant, or a client that is not the primary."""
    return Refused(code_pb2.PERMISSION_DENIED, message)


def full(message: str) -> Refused:
    """The table is full."""
    return Refused(code_pb2.RESOURCE_EXHAUSTED, message)


def unimplemented(message: str) -> Refused:
    """An optional part of the specification that this target does not have."""
    return Refused(code_pb2.UNIMPLEMENTED, message)


def not_ready(message: str) -> Refused:
    """There is no pipeline yet."""
    return Refused(code_pb2.FAILED_PRECONDITION, message)
