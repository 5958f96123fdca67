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
