"""Ports bound to Linux interfaces (AF_PACKET): frames that arrive there enter the switch, what is sent to the port leaves there."""

from __future__ import annotations

import contextlib
import socket
import threading

from k8s_p4.target.device import Device
from k8s_p4.target.errors import Refused, denied, not_found

_ETH_P_ALL = 0x0003
_LARGEST_FRAME = 65_536
# Values of <linux/if_packet.h> that the socket module does not have.
_PACKET_OUTGOING = 4


class Interfaces:
    """The bound interfaces of one device; a thread reads each."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._sockets: dict[int, socket.socket] = {}

    def bind(self, number: int, name: str) -> None:
        """Bind a port to the interface of that name; nothing if it is bound already.

        Raises:
            Refused: no such interface, or no right to open packet sockets (CAP_NET_RAW).
        """
        if number in self._sockets:
            return
        raw = self._open(name)
        self._sockets[number] = raw
        self._device.on_output[number] = lambda frame: self._send(raw, frame)
        threading.Thread(target=self._receive, args=(number, raw), name=f"port-{name}", daemon=True).start()

    def _open(self, name: str) -> socket.socket:
        try:
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        except PermissionError:
            raise denied("binding ports to interfaces needs CAP_NET_RAW") from None
        try:
            raw.bind((name, 0))
        except OSError as error:
            raw.close()
            raise not_found(f"interface {name}: {error.strerror}") from None
        return raw

    def _send(self, raw: socket.socket, frame: bytes) -> None:
        # An interface that is down or a frame above its MTU loses the frame, as a cable would.
        with contextlib.suppress(OSError):
            raw.send(frame)

    def _receive(self, number: int, raw: socket.socket) -> None:
        while True:
            try:
                frame, address = raw.recvfrom(_LARGEST_FRAME)
            except OSError:
                return
            if address[2] != _PACKET_OUTGOING:
                with contextlib.suppress(Refused):  # no pipeline yet: the frame is lost
                    self._device.inject(number, frame)

    def close(self) -> None:
        """Let go of all interfaces."""
        for number, raw in self._sockets.items():
            self._device.on_output.pop(number, None)
            raw.close()
        self._sockets.clear()
