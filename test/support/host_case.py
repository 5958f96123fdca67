"""A case of host_policy.json or untracked_policy.json wrapped into a node: its interfaces, and the messages a Felix would send.

A case is all that one interface enforces, whose program knows no direction: it is run as what comes in there and as what goes out.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from felix_proto import types as felix
from test.support import cases
from test.support.cases import Case
from test.support.product import Ports

NODE = "node-a"
WORKLOAD = felix.WorkloadEndpointID("k8s", "case/owner", "eth0")
INTERFACE = "cali0001"
IN, OUT = "in", "out"
SECTIONS = {"normal_tiers": "tiers", "forward_tiers": "forward_tiers", "pre_dnat_tiers": "pre_dnat_tiers", "untracked_tiers": "untracked_tiers"}
"""Section of a case: field of HostEndpoint."""


class Run(NamedTuple):
    """One packet of a case in one direction."""

    case: Case
    packet: Case
    place: int
    direction: str

    @property
    def on_workload(self) -> bool:
        """Whether the interface is a workload's: then the host endpoint is that of all interfaces."""
        return self.case.get("interface") == "workload"

    @property
    def node_address(self) -> str | None:
        """The address of the packet that is the node's own."""
        if self.packet.get("to_host"):
            return str(self.packet["dst"])
        return str(self.packet["src"]) if self.from_host else None

    @property
    def from_host(self) -> bool:
        """Whether the node itself sends it: of what goes out untracked policy judges nothing else."""
        return bool(self.packet.get("from_host")) or (self.direction == OUT and "untracked_tiers" in self.case)

    @property
    def sent(self) -> Case:
        """The packet as it is sent: to what is translated on the way."""
        packet = self.packet
        return packet | {"dst": packet["pre_dnat_dst"], "dport": packet["pre_dnat_dport"]} if "pre_dnat_dst" in packet else packet

    @property
    def workload_address(self) -> str:
        """The address of the workload behind the interface."""
        return str(self.packet["src" if self.direction == IN else "dst"])

    @property
    def source(self) -> str:
        """Where it enters."""
        if self.from_host:
            return "host"
        if self.direction == OUT:
            return "eth1"
        return INTERFACE if self.on_workload else "eth0"


def runs(case: Case) -> Iterator[Run]:
    """Yield every packet of a case in every direction in which it can meet the interface."""
    for place, packet in enumerate(case["packets"]):
        for direction in _directions(case, packet):
            yield Run(case, packet, place, direction)


def _directions(case: Case, packet: Case) -> tuple[str, ...]:
    """To the host is in, from the host is out; pre-DNAT policy is for what comes in only."""
    if "unrealisable" in packet:
        return ()
    if packet.get("to_host"):
        return (IN,)
    if packet.get("from_host"):
        return (OUT,)
    return (IN,) if case.get("pre_dnat_tiers") else (IN, OUT)


def ports(run: Run) -> Ports:
    """eth0, behind which is everything, or eth1, if the packet is to leave by that; the node's address is on eth0."""
    leaves_by_eth1 = run.direction == IN
    own = [f"{run.node_address}/32"] if run.node_address else []
    beyond = ["10.0.0.1/8"] if leaves_by_eth1 else ["198.51.100.1/24"]
    return [{"name": "host", "kind": "host"}, {"name": "eth0", "kind": "uplink", "addresses": own},
            {"name": "eth1", "kind": "uplink", "addresses": beyond}]  # fmt: skip


def messages(run: Run) -> list[felix.Payload]:
    """Return the stream, InSync included: failsafe ports off, and what workloads send to the node let in."""
    case = run.case
    config = {"FelixHostname": NODE, "FailsafeInboundHostPorts": "none", "FailsafeOutboundHostPorts": "none", "DefaultEndpointToHostAction": "ACCEPT"}
    tiers = [tier for section in (*SECTIONS, "workload_tiers") for tier in case.get(section, ())]
    profiles = [*case.get("host_profiles", ()), *case.get("workload_profiles", ())]
    return [
        felix.ConfigUpdate(tuple(sorted(config.items()))),
        *(cases.ip_set(set_id, data) for set_id, data in case["ip_sets"].items()),
        *(_policy(tier["name"], policy, run.direction) for tier in tiers for policy in tier["policies"]),
        *(felix.ActiveProfileUpdate(p["name"], felix.Profile(p["name"], **_rules(p, run.direction))) for p in profiles),
        *_workload(run),
        felix.HostEndpointUpdate("case", _host_endpoint(run)),
        felix.HostMetadataUpdate(NODE, "192.0.2.11/24", ""),
        felix.InSync(),
    ]


def _rules(data: Case, direction: str) -> dict[str, Any]:
    return {"inbound_rules" if direction == IN else "outbound_rules": tuple(cases.rule(rule) for rule in data["rules"])}


def _policy(tier: str, data: Case, direction: str) -> felix.ActivePolicyUpdate:
    """The policy of an interface: inbound for what comes in by it; but what comes out of a workload is outbound for the workload."""
    name = cases.policy_id(data["id"])
    workload = name.name.startswith("workload.")
    side = direction if not workload else {IN: OUT, OUT: IN}[direction]
    return felix.ActivePolicyUpdate(name, felix.Policy(name, tier=tier, **_rules(data, side)))


def _tier(data: Case, direction: str) -> felix.TierInfo:
    policies = {f"{'ingress' if direction == IN else 'egress'}_policies": tuple(cases.policy_id(p["id"]) for p in data["policies"])}
    return felix.TierInfo(data["name"], default_action=data["default_action"], **policies)


def _host_endpoint(run: Run) -> felix.HostEndpoint:
    tiers: dict[str, Any] = {field: tuple(_tier(t, run.direction) for t in run.case.get(section, ())) for section, field in SECTIONS.items()}
    profiles = tuple(p["name"] for p in run.case.get("host_profiles", ()))
    return felix.HostEndpoint("case", "*" if run.on_workload else "eth0", profile_ids=profiles, **tiers)


def _workload(run: Run) -> Iterator[felix.Payload]:
    """The workload behind the interface, whose direction is the other way round; it has the packet's address on that side."""
    if not run.on_workload:
        return
    direction = OUT if run.direction == IN else IN
    tiers = tuple(_tier(tier, direction) for tier in run.case["workload_tiers"])
    profiles = tuple(p["name"] for p in run.case["workload_profiles"])
    endpoint = felix.WorkloadEndpoint(WORKLOAD, "active", INTERFACE, profile_ids=profiles, tiers=tiers, ipv4_nets=(f"{run.workload_address}/32",))
    yield felix.WorkloadEndpointUpdate(WORKLOAD, endpoint)


def services(run: Run) -> list[dict[str, Any]]:
    """Return the objects of Kubernetes that have the packet translated: a service with one endpoint."""
    packet = run.packet
    if "pre_dnat_dst" not in packet:
        return []
    spec = {"type": "ClusterIP", "clusterIP": packet["pre_dnat_dst"], "clusterIPs": [packet["pre_dnat_dst"]]}
    ports = [{"name": "", "protocol": "UDP", "port": packet["pre_dnat_dport"], "targetPort": packet["dport"]}]
    slice_ = {"name": "case-1", "namespace": "case", "labels": {"kubernetes.io/service-name": "case"}}
    return [
        {"kind": "Service", "metadata": {"name": "case", "namespace": "case"}, "spec": {**spec, "ports": ports}},
        {"kind": "EndpointSlice", "metadata": slice_, "addressType": "IPv4", "ports": [{"name": "", "protocol": "UDP", "port": packet["dport"]}],
         "endpoints": [{"addresses": [packet["dst"]], "conditions": {"ready": True}}]},
    ]  # fmt: skip
