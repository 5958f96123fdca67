"""What can execute a program, by name (`Options.engine`)."""

from __future__ import annotations

from collections.abc import Callable

from k8s_p4.target.options import Options
from k8s_p4.target.runtime import Machine
from k8s_p4.target.spec import Spec

Maker = Callable[[str, Spec, Options, dict[str, int]], Machine]
"""(the assembly's text, parsed, options, widths of LPM fields by table) -> a machine; raises LoadError."""


def _embedded(text: str, spec: Spec, options: Options, lpm_widths: dict[str, int]) -> Machine:
    return Machine(spec, options, lpm_widths)


def _dpdk(text: str, spec: Spec, options: Options, lpm_widths: dict[str, int]) -> Machine:
    from k8s_p4.target.dpdk.machine import DpdkMachine  # needs what not every machine has

    return DpdkMachine(text, spec, options, lpm_widths)


ENGINES: dict[str, Maker] = {"embedded": _embedded, "dpdk": _dpdk}

FEATURES: dict[str, dict[str, str]] = {
    "embedded": {
        "executed by": "our executor of the assembly",
        "traces": "yes",
        "priorities": "1 to 2147483647",
        "rates of meters": "any; above 687,000,000 a second up to 1 % more",
        "expiry of what was learned": "to the nanosecond",
        "learned entries": "listed, with their age; those that ran out are counted",
        "frames cut short": "refused",
    },
    "dpdk": {
        "executed by": "DPDK's SWX library, 22.11",
        "traces": "no: UNIMPLEMENTED",
        "priorities": "1 to 536870910; of entries that differ in nothing else the highest is in force",
        "rates of meters": "rates and bursts from 1 on; above a hundredth of the clock's ticks a second up to 1 % more",
        "expiry of what was learned": "in steps of 2^32 ticks, and up to one early: 1/16 s of virtual time, some 2 s by the processor's clock",
        "learned entries": "listed, without their age; those that ran out are not counted",
        "frames cut short": "never leave, but may be counted and learned of",
        "writes of prefixes and masks": "each Write makes the table anew",
    },
}
"""What each does in a way of its own, for people."""
