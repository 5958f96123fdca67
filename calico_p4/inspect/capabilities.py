"""What a target can do: asked of the target and its P4Info, never concluded from its name."""

from typing import Any

import grpc

from calico_p4.p4runtime.errors import raise_target_error
from calico_p4.switch import Switch, open_switch, pipeline_cookie
from k8s_p4 import artefacts
from k8s_p4.p4rt import P4RuntimeStub, p4r


def capabilities(target: str) -> list[dict[str, Any]]:
    """Return ``capability`` and ``value`` for a target: ``embedded``, ``unix:PATH`` or ``HOST:PORT``. Nothing on it is changed.

    Raises:
        TargetError: it can't be reached.
    """
    switch = open_switch(target)
    try:
        found = {**_asked(switch, target == "embedded"), **_of_p4info()}
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
        return {what: "no"}


def _of_p4info() -> dict[str, str]:
    """What our pipeline asks of any target."""
    info = artefacts.p4info()
    kinds = sorted({field.MatchType.Name(field.match_type).lower() for table in info.tables for field in table.match_fields})
    learning = [table.preamble.alias for table in info.tables if any("learn" in each or "add_on_miss" in each for each in table.preamble.annotations)]
    counters = [f"{each.preamble.alias} ({each.size})" for each in info.counters]
    return {
        "match kinds": ", ".join(kinds),
        "tables": str(len(info.tables)),
        "largest table": max((table.size, table.preamble.alias) for table in info.tables)[1],
        "learning tables": ", ".join(learning) or "none",
        "counters": ", ".join(counters),
        "meters": ", ".join(each.preamble.alias for each in info.meters) or "none",
        "bandwidth": "policed: what is over the rate is dropped, where Linux delays it",
        "connection limits": "by slots that flows take: exact up to 16, of more some are refused when nearly all are taken",
        "rejects": "ICMP port unreachable to packets of up to 1280 bytes, answer included; none to fragments, SCTP, UDP without a checksum, extension headers",
        "IPv4 and IPv6": "both",
    }
