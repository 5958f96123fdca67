"""What the kernel holds, told over netlink: everything once, then what changes.

A `Mirror` keeps what it was told and tells what differs. Events are asked for before everything is listed, so none is missed in between.
The kernel drops events that nobody takes in time (ENOBUFS); then, and when a list was cut through by a change, everything is listed
again, from a new socket: an event that waited since before what was lost must not be taken for the newest.

Changes wait for the driver's loop by their key, the last one of each: bounded by what there is, however often it changes.
"""

from __future__ import annotations

import errno
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from calico_p4.degraded import Degraded
from calico_p4.driver import Driver
from calico_p4.log import get_logger

LINKS, ADDRESSES, ROUTES, NEIGHBOURS = (18, 16), (22, 8), (26, 12), (30, 12)
"""RTM_GETLINK and so on, and the size of what follows the header (linux/rtnetlink.h)."""
LINK_GROUP, NEIGHBOUR_GROUP, ADDRESS_GROUPS, ROUTE_GROUPS = 0x1, 0x4, 0x110, 0x440
"""RTMGRP_LINK, RTMGRP_NEIGH, RTMGRP_IPV{4,6}_IFADDR, RTMGRP_IPV{4,6}_ROUTE."""
ANY, V4, V6 = 0, 2, 10
AGAIN_S = 5.0
"""After how long a netlink socket that failed is opened again."""
LOST_S = 0.1
"""How long to wait before everything is listed again: whoever changes so much is not done yet."""
ROOM_BYTES = 1 << 20
"""Of events that wait in the kernel."""
LOOK_S = 1
"""How often a quiet follower looks whether it shall end."""
MOST = 256
"""Datagrams taken together."""
_LARGEST_BYTES = 1 << 18
"""Of a datagram: the kernel's lists come in parts of at most 32 KiB."""
_REQUEST_DUMP, _INTERRUPTED = 0x301, 0x10
_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3

Change = tuple[Any, Any]
"""A key, and what it has now; None: nothing any more."""
List = tuple[tuple[int, int], int]
"""What to list, of which address family."""


class Lost(Exception):
    """Events were dropped, or a list was cut through by a change: only a new list tells what there is."""


class Mirror(Protocol):
    """What is kept of the kernel's messages."""

    def start(self, messages: Sequence[Any]) -> Iterable[Change]:
        """Take in a list of everything; what differs from before."""

    def follow(self, messages: Sequence[Any]) -> Iterable[Change]:
        """Take in events; what they change."""


def listen(groups: int, lists: Sequence[List], mirror: Mirror, hear: Callable[[list[Change]], None], stop: threading.Event) -> None:
    """Tell what changes until it shall stop; first, even if that is nothing, what everything amounts to. Raises Lost and OSError."""
    with _socket(groups) as events:
        hear(list(mirror.start([message for what, family in lists for message in listed(what, family)])))
        while not stop.is_set():
            if changes := list(mirror.follow(_events(events))):
                hear(changes)


def listed(what: tuple[int, int], family: int) -> Iterator[Any]:
    """Yield the kernel's list of links, addresses, routes or neighbours. Raises OSError, and Lost if it is not of one moment."""
    kind, size = what
    with _socket(0) as asking:
        asking.send(_HEADER.pack(_HEADER.size + size, kind, _REQUEST_DUMP, 1, 0) + struct.pack("B", family) + bytes(size - 1))
        while True:
            data = _receive(asking)
            if not data:
                raise OSError(errno.ETIMEDOUT, f"netlink request {kind}: no answer")
            for at, (length, found, flags) in _headers(data):
                if found == _ERROR:
                    code = -struct.unpack_from("=i", data, at + _HEADER.size)[0]
                    raise OSError(code, f"netlink request {kind}: error {code}")
                if flags & _INTERRUPTED:
                    raise Lost("a list was cut through by a change")
                if found == _DONE:
                    return
                yield from _parsed(data[at : at + length])


def _events(events: socket.socket) -> list[Any]:
    """Wait a while for events, and take those that have come meanwhile."""
    data = [_receive(events)]
    while data[-1] and len(data) < MOST and (more := _receive(events, socket.MSG_DONTWAIT)):
        data.append(more)
    return [message for each in data for message in _parsed(each)]


def _receive(sock: socket.socket, flags: int = 0) -> bytes:
    """One datagram, empty if none is there, or comes in time. Raises Lost and OSError."""
    try:
        return sock.recv(_LARGEST_BYTES, flags)
    except BlockingIOError:
        return b""
    except OSError as error:
        if error.errno == errno.ENOBUFS:
            raise Lost("the kernel dropped events") from error
        raise


def _headers(data: bytes) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Where each message begins; its length, kind and flags."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, flags = _HEADER.unpack_from(data, at)[:3]
        if length < _HEADER.size:
            raise OSError(errno.EPROTO, f"netlink message of {length} bytes")
        yield at, (length, kind, flags)
        at += length + 3 & ~3


def _parsed(data: bytes) -> list[Any]:
    from pyroute2.netlink.rtnl.marshal import MarshalRtnl

    return list(MarshalRtnl().parse(data)) if data else []


@contextmanager
def _socket(groups: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM_BYTES)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", LOOK_S, 0))
        made.bind((0, groups))
        yield made


class Follower:
    """Follows the kernel in a thread of its own, and has the driver's loop do what follows."""

    def __init__(self, subject: str, groups: int, lists: Sequence[List], mirror: Mirror, apply: Callable[[dict[Any, Any]], None],
                 driver: Driver, put: Callable[[Callable[[], None]], None], netns: str | None = None) -> None:  # fmt: skip
        """``subject`` names in Degraded what can't be read; ``apply`` takes the changes, by key; ``put`` has something done by the driver's loop.
        ``netns`` is a network namespace of that name; None: the program's own."""
        self._subject, self._groups, self._lists, self._mirror, self._apply = subject, groups, lists, mirror, apply
        self._driver, self._put, self._netns = driver, put, netns
        self._lock = threading.Lock()
        self._waiting: dict[Any, Any] = {}
        self._posted = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._subject, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Follow no more; returns when the thread has ended, or does not for some seconds."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5 * LOOK_S)

    def _run(self) -> None:
        try:
            self._enter()
        except OSError as error:
            self._fail(error)
            return
        while not self._stop.is_set():
            try:
                listen(self._groups, self._lists, self._mirror, self.hear, self._stop)
            except Lost as lost:
                get_logger().warning("the kernel is asked for everything again", subject=self._subject, reason=str(lost))
                self._stop.wait(LOST_S)
            except Exception as error:  # noqa: BLE001 - whatever netlink says: what is known stays, and it is said
                self._fail(error)
                self._stop.wait(AGAIN_S)

    def _enter(self) -> None:
        if self._netns is not None:
            from pyroute2 import netns

            netns.setns(self._netns, flags=0)  # this thread's alone

    def _fail(self, error: Exception) -> None:
        problem = Degraded(self._subject, f"the kernel can't be asked: {error}", "partial")
        self._put(lambda: self._driver.note_message(problem))
        get_logger().error("the kernel can't be asked", subject=self._subject, error=str(error))

    def hear(self, changes: list[Change]) -> None:
        """Let changes wait for the loop; runs in the thread."""
        with self._lock:
            self._waiting.update(changes)
            if self._posted:
                return
            self._posted = True
        self._put(self._take)

    def _take(self) -> None:
        """Runs in the driver's loop."""
        with self._lock:
            changes, self._waiting, self._posted = self._waiting, {}, False
        self._driver.messages.pop(self._subject, None)
        self._apply(changes)
