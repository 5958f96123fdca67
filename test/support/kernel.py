"""A kernel that speaks netlink, made of bytes after linux/rtnetlink.h: lists when asked, events when told to, or loses them."""

from __future__ import annotations

import errno
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address, ip_interface
from threading import Condition
from typing import Any

NEW, GONE = 0, 1
UP, NO_CARRIER, DOWN = 0x1043, 0x1003, 0x1002
_LINK, _ADDRESS, _ROUTE, _NEIGHBOUR = 16, 20, 24, 28
_ERROR, _DONE = 2, 3
REACHABLE, FAILED = 0x02, 0x20


def _attribute(kind: int, content: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(content), kind) + content + bytes(-len(content) % 4)


def _message(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def link(index: int, name: str, flags: int = UP, mac: str = "02:00:00:00:00:01", kind: str = "", what: int = NEW, family: int = 0) -> bytes:
    """An interface, or its end."""
    info = _attribute(18, _attribute(1, kind.encode() + b"\0")) if kind else b""
    head = struct.pack("=BBHiII", family, 0, 1, index, flags, 0)
    return _message(_LINK + what, head + _attribute(3, name.encode() + b"\0") + _attribute(1, _mac(mac)) + info)


def address(index: int, cidr: str, what: int = NEW) -> bytes:
    """An address of an interface."""
    given = ip_interface(cidr)
    packed = _attribute(1, given.ip.packed) + (_attribute(2, given.ip.packed) if given.version == 4 else b"")
    return _message(_ADDRESS + what, struct.pack("=BBBBi", _family(cidr), given.network.prefixlen, 0, 0, index) + packed)


def neighbour(index: int, at: str, mac: str, state: int = REACHABLE, what: int = NEW) -> bytes:
    """Somebody on an interface's link."""
    head = struct.pack("=BBHiHBB", _family(at), 0, 0, index, state, 0, 1)
    return _message(_NEIGHBOUR + what, head + _attribute(1, ip_address(at).packed) + _attribute(2, _mac(mac)))


def default_route(index: int, gateway: str, metric: int = 0, what: int = NEW, length: int = 0, table: int = 254) -> bytes:
    """The way to everywhere; with a ``length`` to somewhere."""
    head = struct.pack("=BBBBBBBBI", _family(gateway), length, 0, 0, table, 3, 0, 1, 0)
    destination = _attribute(1, ip_address(gateway).packed) if length else b""
    metric_ = _attribute(6, struct.pack("=I", metric)) if metric else b""
    return _message(_ROUTE + what, head + destination + _attribute(5, ip_address(gateway).packed) + _attribute(4, struct.pack("=i", index)) + metric_)


def parsed(*messages: bytes) -> list[Any]:
    """What pyroute2 makes of them."""
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl

    return list(MarshalRtnl().parse(b"".join(messages)))


class Kernel:
    """What `netlink` finds behind its sockets."""

    def __init__(self, *there: bytes) -> None:
        self.there = list(there)
        """What a list holds."""
        self.listed = self.sockets = 0
        self.interrupted = 0
        """How many of the next lists are cut through."""
        self.refuses = 0
        """How many of the next requests are refused."""
        self._changed = Condition()
        self._events: _Socket | None = None

    def tell(self, *events: bytes) -> None:
        """Something happens."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._events is not None, 30.0)
            assert self._events is not None
            self._events.queue.extend(events)
            self._changed.notify_all()

    def lose(self) -> None:
        """Events are dropped: whoever listens gets an error in their place."""
        self.tell(b"")

    @contextmanager
    def socket(self, groups: int) -> Iterator[Any]:
        """In place of `netlink._socket`."""
        made = _Socket(self)
        with self._changed:
            self.sockets += 1
            if groups:
                self._events = made
                self._changed.notify_all()
        yield made

    def answer(self, request: bytes) -> Iterator[bytes]:
        """The list that is asked for."""
        kind = struct.unpack_from("=H", request, 4)[0] - 2
        family = request[16]
        self.listed += 1
        if self.refuses:
            self.refuses -= 1
            yield _message(_ERROR, struct.pack("=i", -errno.EPERM) + request[:16])
            return
        cut, self.interrupted = self.interrupted > 0, max(0, self.interrupted - 1)
        found = [each for each in self.there if struct.unpack_from("=H", each, 4)[0] == kind and (not family or each[16] == family)]
        yield from (b"".join(found[at : at + 3]) for at in range(0, len(found), 3))
        yield _message(_DONE, bytes(4), 0x10 if cut else 0)


class _Socket:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self.queue: deque[bytes] = deque()

    def send(self, request: bytes) -> None:
        self.queue.extend(self._kernel.answer(request))

    def recv(self, _size: int, flags: int = 0) -> bytes:
        changed = self._kernel._changed
        with changed:
            if not self.queue and flags & socket.MSG_DONTWAIT:
                raise BlockingIOError
            if not changed.wait_for(lambda: bool(self.queue), 0.1):
                raise BlockingIOError
            data = self.queue.popleft()
        if not data:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        return data
