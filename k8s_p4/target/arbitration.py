"""Who may write: the controllers of one device and their election ids (section 5 of the P4Runtime specification)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from google.rpc import code_pb2

from k8s_p4.p4rt import p4r
from k8s_p4.target.errors import denied, invalid, not_found, not_ready


def election_number(message: Any) -> int:
    """A Uint128 as one int."""
    number: int = message.high << 64 | message.low
    return number


class Controller:
    """A controller with an open stream; `send` takes StreamMessageResponses and never blocks."""

    __slots__ = ("arbitrated", "election_id", "send")

    def __init__(self, send: Callable[[Any], None]) -> None:
        self.send = send
        self.election_id: int | None = None
        self.arbitrated = False


class Arbiter:
    """Keeps the controllers of the device and tells them who is primary. Only the default role exists."""

    def __init__(self, device_id: int) -> None:
        self._device_id = device_id
        self._lock = threading.Lock()
        self._controllers: list[Controller] = []
        self._highest: int | None = None
        self._primary: Controller | None = None

    def update(self, controller: Controller, message: Any) -> None:
        """A MasterArbitrationUpdate from a controller.

        Raises:
            Refused: the stream must be ended with its code (section 5.3).
        """
        with self._lock:
            self._check(controller, message)
            if not controller.arbitrated:
                controller.arbitrated = True
                self._controllers.append(controller)
            controller.election_id = election_number(message.election_id) or None
            self._elect(controller)

    def _check(self, controller: Controller, message: Any) -> None:
        if message.device_id != self._device_id:
            if controller.arbitrated:
                raise not_ready(f"this stream is for device {self._device_id}, not {message.device_id}")
            raise not_found(f"no device {message.device_id} (there is {self._device_id})")
        role = message.role
        if role.id or role.name or role.HasField("config"):
            raise invalid("roles are not supported: only the default role exists")
        number = election_number(message.election_id)
        if number and any(other.election_id == number for other in self._controllers if other is not controller):
            raise invalid(f"election id {number} is in use by another controller")

    def _elect(self, controller: Controller) -> None:
        number = controller.election_id
        if number is not None and (self._highest is None or number >= self._highest):
            self._highest = number
            self._primary = controller
            self._notify_all()
        elif controller is self._primary:
            self._primary = None
            self._notify_all()
        else:
            self._notify(controller)

    def leave(self, controller: Controller) -> None:
        """The controller's stream has ended."""
        with self._lock:
            if controller in self._controllers:
                self._controllers.remove(controller)
            if controller is self._primary:
                self._primary = None
                self._notify_all()

    def _notify_all(self) -> None:
        """The primary hears last: by then every other knows that it is not."""
        for controller in self._controllers:
            if controller is not self._primary:
                self._notify(controller)
        if self._primary is not None:
            self._notify(self._primary)

    def _notify(self, controller: Controller) -> None:
        response = p4r.StreamMessageResponse()
        answer = response.arbitration
        answer.device_id = self._device_id
        if self._highest is not None:
            answer.election_id.high, answer.election_id.low = self._highest >> 64, self._highest & (1 << 64) - 1
        if controller is self._primary:
            answer.status.code = code_pb2.OK
        else:
            answer.status.code = code_pb2.NOT_FOUND if self._primary is None else code_pb2.ALREADY_EXISTS
            answer.status.message = "there is no primary" if self._primary is None else "another controller is primary"
        controller.send(response)

    def check_writer(self, request: Any) -> None:
        """Whether a request that changes state comes from the primary (sections 12 and 14).

        Raises:
            Refused: NOT_FOUND for another device or role, PERMISSION_DENIED for anyone but the primary.
        """
        self.check_device(request.device_id)
        if request.role or request.role_id:
            raise not_found("no such role: only the default role exists")
        number = election_number(request.election_id)
        with self._lock:
            if self._primary is None or self._primary.election_id != number:
                raise denied(f"election id {number} is not the primary's")

    def check_device(self, device_id: int) -> None:
        """Raises Refused (NOT_FOUND) for any device but ours."""
        if device_id != self._device_id:
            raise not_found(f"no device {device_id} (there is {self._device_id})")

    def is_primary(self, controller: Controller) -> bool:
        """Whether this controller is the primary."""
        return controller is self._primary

    def send_to_primary(self, response: Any) -> None:
        """Packet-in: to the primary, if there is one."""
        primary = self._primary
        if primary is not None:
            primary.send(response)
