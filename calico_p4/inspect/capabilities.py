"""What a target can do: asked of the target and its P4Info, never concluded from its name."""

from typing import Any, Final

import grpc

from calico_p4.learning import needed
from calico_p4.p4runtime.client import encode_update
from calico_p4.p4runtime.errors import NotPrimary, TargetError, raise_target_error
from calico_p4.switch import Switch, open_switch, pipeline_cookie
from k8s_p4 import artefacts
from k8s_p4.p4rt import P4RuntimeStub, p4i, p4r
from k8s_p4.rows import TABLES

_LEARNED_BY_US: Final = {
    "who learns": "the driver: first packets come to it and go back",
    "expiry of what was learned": "told by the target, a second or so late; any look-up prolongs an entry, also by what is denied or is an error about it",
    "learned entries": "listed by the driver, with their age since it found them; when they were hit last is not told",
}
_ABSENT: Final = 0xFFFFFFFF
"""A port that no target has."""


def capabilities(target: str, architecture: str = "pna") -> list[dict[str, Any]]:
    """Return ``capability`` and ``value`` for a target: ``embedded``, ``unix:PATH`` or ``HOST:PORT``. Nothing on it is changed.

    ``architecture``: whose program is told of where the target has none.

    Raises:
        TargetError: it can't be reached.
    """
    switch = open_switch(target, architecture=architecture)
    try:
        asked = _asked(switch, target == "embedded")
        info = switch.client.p4info() or artefacts.p4info(f"main_{architecture}")
        found = {**asked, **_writes(switch), **_of_p4info(info)}
    finally:
        switch.close()
    return [{"capability": name, "value": value} for name, value in found.items()]


def _asked(switch: Switch, fresh: bool) -> dict[str, str]:
    stub = P4RuntimeStub(switch.channel)
    try:
        version = stub.Capabilities(p4r.CapabilitiesRequest(), timeout=4.0).p4runtime_api_version
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise raise_target_error(error, "Capabilities") from error
        version = "not told"
    if fresh:
        switch.prepare()
    there = switch.client.pipeline_cookie()
    ours = "none" if there is None else "ours" if there == pipeline_cookie() else f"another (cookie {there:#x})"
    return {"P4Runtime": version, "pipeline": ours, **_bench(switch)}


def _bench(switch: Switch) -> dict[str, str]:
    what = "takes packets of a test bench"
    try:
        assert switch.bench is not None
        return {what: f"yes, {len(switch.bench.ports())} ports", **dict(sorted(switch.bench.describe().items()))}
    except grpc.RpcError:
        return {what: "no", "clock": "the target's own, which nobody sets"}


def _writes(switch: Switch) -> dict[str, str]:
    """How Writes behave, asked with Writes that change nothing: only a primary may, and none is driven out."""
    names = "atomicity of a Write", "errors of single updates"
    try:
        switch.client.arbitrate()
        return dict(zip(names, (_atomicity(switch), _single_errors(switch)), strict=True))
    except NotPrimary:
        return dict.fromkeys(names, "not asked: another client is primary")
    except TargetError as error:
        return dict.fromkeys(names, f"not told: {error}")


def _atomicity(switch: Switch) -> str:
    kinds = p4r.WriteRequest
    asked = {"CONTINUE_ON_ERROR": kinds.CONTINUE_ON_ERROR, "ROLLBACK_ON_ERROR": kinds.ROLLBACK_ON_ERROR, "DATAPLANE_ATOMIC": kinds.DATAPLANE_ATOMIC}
    return ", ".join(name for name, kind in asked.items() if switch.client.takes(kind)) or "none"


def _single_errors(switch: Switch) -> str:
    """Delete what is not there."""
    update = encode_update("delete", TABLES["port"].wire_key((_ABSENT,)))
    if switch.client.pipeline_cookie() != pipeline_cookie():
        return "not asked: the pipeline is not ours"
    told = switch.client.write([update])
    return f"told one by one ({(told[0] or 'nothing').partition(':')[0]} for what is not there)"


def _of_p4info(info: Any) -> dict[str, str]:
    """What a pipeline asks of any target."""
    kinds = sorted({field.MatchType.Name(field.match_type).lower() for table in info.tables for field in table.match_fields})
    learning = [table.preamble.alias for table in info.tables if any("learn" in each or "add_on_miss" in each for each in table.preamble.annotations)]
    counters = [f"{each.preamble.alias} ({each.size})" for each in info.counters]
    told = [table.preamble.alias for table in info.tables if table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL]
    return {
        "architecture": info.pkg_info.arch or "not told",
        "match kinds": ", ".join(kinds),
        "ranges of ports": "as ranges" if "range" in kinds else "as prefixes, several rows each",
        "tables": str(len(info.tables)),
        "largest table": max(((table.size, table.preamble.alias) for table in info.tables), default=(0, "none"))[1],
        "learning tables": ", ".join(learning) or "none",
        **(_LEARNED_BY_US if needed(info) else {"who learns": "the switch"}),
        "hash of flows": "CRC-32 of Ethernet" if info.pkg_info.arch == "v1model" else "CRC-32C (Castagnoli's)",
        "tables that tell of expiry": ", ".join(told) or "none",
        "counters": ", ".join(counters),
        "meters": ", ".join(each.preamble.alias for each in info.meters) or "none",
        "bandwidth": "policed: what is over the rate is dropped, where Linux delays it",
        "connection limits": "by slots that flows take: exact up to 16, of more some are refused when nearly all are taken",
        "rejects": "ICMP port unreachable to packets of up to 1280 bytes, answer included; none to fragments, SCTP, UDP without a checksum, extension headers",
        "IPv4 and IPv6": "both",
    }
