"""The engine as a machine like the embedded one: it can do neither traces nor list what was learned."""

from __future__ import annotations

from k8s_p4.target.dpdk.swx import Swx
from k8s_p4.target.errors import unimplemented
from k8s_p4.target.options import Options
from k8s_p4.target.runtime import Machine, Packet
from k8s_p4.target.spec import Spec


class DpdkMachine(Machine):
    """A program on DPDK. Tables are those of the embedded machine, which DPDK's are made equal to before a packet."""

    def __init__(self, text: str, spec: Spec, options: Options, lpm_widths: dict[str, int]) -> None:
        super().__init__(spec, options, lpm_widths)
        self._swx = Swx(text, self, options, lpm_widths)
        self.registers = dict(self._swx.registers)

    def run(self, frame: bytes, port: int, now: int, trace: bool = False) -> Packet:
        """As `Machine.run`.

        Raises:
            Refused: UNIMPLEMENTED for a trace.
        """
        if trace:
            raise unimplemented("DPDK traces no packets: ask the embedded engine")
        return self._swx.run(frame, port, now)
