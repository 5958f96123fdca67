"""Streams with other names and addresses, that mean the same: recordings that can leave a company.

Every field of text in the schema has a treatment below; one without would be an error, so nothing new slips through. What the schema
does not know is left out, and counted.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor

from calico_p4.tools.pseudonyms import Addresses, Names
from calico_p4.tools.wire import BYTES, TO_DATAPLANE, Field, encode, inner, parse

Change = Callable[[str], str]
_KNOWN_TIERS = frozenset(("default", "adminnetworkpolicy", "baselineadminnetworkpolicy", "kube-admin", "kube-baseline"))
_KNOWN_DOMAINS = ("kubernetes.io", "k8s.io", "projectcalico.org")
_KNOWN_NAMES = frozenset(("default", "kube-system", "kube-public", "kube-node-lease", "kubernetes", "true", "false", "none", "None", "linux"))
"""Names that every cluster has: they tell nothing."""
_INTERFACE = re.compile(r"(?:cali|tap)?")
_POLICY = re.compile(r"(staged:)?((?:knp|kanp|kbanp|kcnp)\.[a-z]+\.)?(.*)", re.DOTALL)
_SELECTOR = re.compile(r"""("[^"]*"|'[^']*'|[A-Za-z0-9_./-]+)""")
_SELECTOR_WORDS = frozenset(("has", "in", "not", "all", "global", "contains", "starts", "ends", "with"))
_PLAIN_VALUE = re.compile(r"(?:[0-9]+(?:[.][0-9]+)?(?:ms|s|m|h)?|true|false|none|Enabled|Disabled|Auto|Always|Never|Any)?", re.IGNORECASE)
# Parameters of Felix (contract 1.7) whose values are words of Felix's own; addresses in them are replaced all the same.
_PLAIN_CONFIG = re.compile(
    r"CalicoVersion|ClusterType|DatastoreType|InterfacePrefix|InterfaceExclude|ServiceLoopPrevention|.*Action|.*Mode|.*HostPorts|"
    r".*PortRange|LogSeverity.*|.*VNI|.*Port|.*Addr|.*Enabled|.*Encapsulation|WorkloadSourceSpoofing|ProgramClusterRoutes|"
    r"BPFConnectTimeLoadBalancing|NATOutgoing.*|IptablesNATOutgoing.*|RouteSource|AllowVXLANPacketsFromWorkloads|"
    r"AllowIPIPPacketsFromWorkloads|DisableConntrackInvalidCheck|FloatingIPs",
    re.IGNORECASE,
)
_KEPT_UNKNOWN = frozenset((("WorkloadEndpoint", 14),))
"""WorkloadEndpoint.type of 3.30, a number from 0 to 1."""


class Redactor:
    """Replaces what is in messages: first every message is to be ``collect``ed, then each can be ``redact``ed."""

    def __init__(self, key: bytes) -> None:
        """``key``: at most 64 bytes; the same key and the same streams give the same result."""
        self.names, self.addresses = Names(key), Addresses(key)
        self.dropped: Counter[str] = Counter()
        """Fields left out because the schema does not have them, by message and number."""
        self._treatments = self._make_treatments()

    def collect(self, payloads: Iterable[bytes]) -> None:
        """Take note of the names in messages."""
        for payload in payloads:
            self._message(parse(payload), TO_DATAPLANE)

    def settle(self) -> None:
        """All has been collected."""
        self.names.settle()
        self.dropped.clear()

    def redact(self, payload: bytes) -> bytes:
        """Return a message with everything in it replaced."""
        return encode(self._message(parse(payload), TO_DATAPLANE))

    def _message(self, fields: Iterable[Field], message: Descriptor) -> tuple[Field, ...]:
        if message.name == "ConfigEntry":
            return self._config_entry(tuple(fields))
        return tuple(self._fields(fields, message))

    def _fields(self, fields: Iterable[Field], message: Descriptor) -> Iterator[Field]:
        for field in fields:
            descriptor = field.descriptor
            if descriptor is None and (message.name, field.number) not in _KEPT_UNKNOWN:
                self.dropped[f"{message.name}.{field.number or 'bytes'}"] += 1
            elif isinstance(field.value, tuple) and descriptor is not None:
                yield field._replace(value=self._message(field.value, inner(descriptor)))
            elif field.wire_type == BYTES:
                yield field._replace(value=self._text(message.name, field.name, field.value))
            else:
                yield field

    def _text(self, message: str, field: str, value: bytes) -> bytes:
        change = self._treatments[message, field]
        return change(value.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def _config_entry(self, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        texts = {field.name: field.value.decode(errors="replace") for field in fields if isinstance(field.value, bytes)}
        key, value = texts.get("key", ""), texts.get("value", "")
        new = self._config(key, value).encode()
        return tuple(field._replace(value=new) if field.name == "value" else field for field in fields if field.descriptor is not None)

    def _config(self, key: str, value: str) -> str:
        """Return a parameter's value: Felix's own words and numbers as they are."""
        if key.lower().endswith("hostname"):
            return self.host(value)
        if key.upper().startswith("VXLANTUNNELMAC"):
            return self.names.mac(value)
        if _PLAIN_VALUE.fullmatch(value):
            return value
        if _PLAIN_CONFIG.fullmatch(key):
            return self.addresses.inside(value)
        return self.names.get("value", value)

    # --- treatments

    def keep(self, text: str) -> str:
        """A word of the protocol."""
        return text

    def cidr(self, text: str) -> str:
        """An address or CIDR; whatever else is there becomes a name."""
        if not text or text in ("None", "all"):
            return text
        try:
            return self.addresses.text(text)
        except ValueError:
            return self.names.get("value", text)

    def member(self, text: str) -> str:
        """A member of a set: a CIDR, or "10.0.0.1,tcp:80"."""
        address, comma, port = text.partition(",")
        return self.cidr(address) + comma + port

    def pool_id(self, text: str) -> str:
        """A pool's id is its CIDR with "-" for "/"."""
        return self.cidr(text.replace("-", "/")).replace("/", "-") if text.count("-") == 1 else self.names.get("value", text)

    def set_id(self, text: str) -> str:
        """A set's id: what kind of set, ":" and a hash."""
        kind, colon, rest = text.rpartition(":")
        return kind + colon + self.names.get("set", rest)

    def named(self, category: str) -> Change:
        """Return the treatment of plain names of a category."""
        return lambda text: text if text in _KNOWN_NAMES else self.names.get(category, text)

    def host(self, text: str) -> str:
        """A node."""
        return self.names.get("node", text)

    def namespace(self, text: str) -> str:
        """A namespace. Well-known ones become names as well, else the order among them would be another."""
        return self.names.get("namespace", text)

    def tier(self, text: str) -> str:
        """A tier."""
        return text if text in _KNOWN_TIERS else self.names.get("tier", text)

    def workload(self, text: str) -> str:
        """A workload: "namespace/pod" on Kubernetes."""
        *spaces, pod = text.split("/")
        return "/".join((*map(self.namespace, spaces), self.names.get("pod", pod)))

    def interface(self, text: str) -> str:
        """A workload's interface; what comes after its prefix is a hash of namespace and pod."""
        match = _INTERFACE.match(text)
        return self.names.get("if", text, match[0] if match else "")

    def endpoint(self, text: str) -> str:
        """The last part of a workload endpoint's id."""
        return text if text == "eth0" else self.names.get("endpoint", text)

    def policy(self, text: str) -> str:
        """A policy: "namespace/staged:knp.default.name" up to 3.31; with a tier before the name for Calico's own kinds."""
        space, slash, rest = text.rpartition("/")
        match = _POLICY.fullmatch(rest)
        staged, kind, name = match.groups(default="") if match else ("", "", rest)
        tier, dot, last = name.partition(".")
        if not kind and dot and (tier in _KNOWN_TIERS or self.names.knows("tier", tier)):
            name = f"{self.tier(tier)}.{self.names.get('policy', last)}"
        else:
            self.names.collect("policy", last)  # which of the two it is, is known when all tiers are
            name = self.names.get("policy", name)
        return (self.namespace(space) if slash else "") + slash + staged + kind + name

    def profile(self, text: str) -> str:
        """A profile: of a namespace "kns.NAME", of a service account "ksa.NAMESPACE.NAME", or any other name."""
        if text.startswith("kns."):
            return "kns." + self.namespace(text[4:])
        if text.startswith("ksa."):
            space, _, name = text[4:].partition(".")
            return f"ksa.{self.namespace(space)}.{self.account(name)}"
        return text if text == "projectcalico-default-allow" else self.names.get("profile", text)

    def account(self, text: str) -> str:
        """A service account."""
        return self.named("account")(text)

    def label_key(self, text: str) -> str:
        """A label's key; those of Kubernetes and Calico stay."""
        domain = text.removeprefix("pcns.").removeprefix("pcsa.").partition("/")[0]
        if domain.endswith(_KNOWN_DOMAINS):
            return text
        start = text[:5] if text.startswith(("pcns.", "pcsa.")) else ""
        return start + self.names.get("label", text[len(start) :])

    def value(self, text: str) -> str:
        """Any text; a name that is known otherwise has the same pseudonym."""
        if text in _KNOWN_NAMES or not text:
            return text
        for category in ("node", "namespace", "account", "pod", "tier"):
            if self.names.knows(category, text):
                return self.names.get(category, text)
        return self.names.get("value", text)

    def selector(self, text: str) -> str:
        """A selector, e.g. ``(role == 'db' && has(zone))``."""
        return _SELECTOR.sub(self._selector_word, text)

    def _selector_word(self, match: re.Match[str]) -> str:
        word = match[0]
        if word[0] in "'\"":
            return word[0] + self.value(word[1:-1]) + word[0]
        return word if word in _SELECTOR_WORDS else self.label_key(word)

    def _make_treatments(self) -> Mapping[tuple[str, str], Change]:
        kinds: dict[Change, str] = {
            self.keep: "Rule.action Protocol.name HTTPMatch.methods PolicyID.kind Policy.perf_hints TierInfo.default_action "
            "WorkloadEndpointID.orchestrator_id WorkloadEndpoint.state HostEndpoint.name RawConfig.source IPAMPool.ipip_mode "
            "IPAMPool.vxlan_mode IPAMPool.allowed_uses ServiceUpdate.type ServicePort.Protocol",
            self.member: "IPSetUpdate.members IPSetDeltaUpdate.added_members IPSetDeltaUpdate.removed_members",
            self.set_id: "IPSetUpdate.id IPSetDeltaUpdate.id IPSetRemove.id "
            + " ".join(f"Rule.{name}" for name in _rule_fields() if name.endswith("_set_ids")),
            self.cidr: " ".join(f"Rule.{name}" for name in _rule_fields() if name.endswith("_net"))
            + " QoSPolicy.destination HostEndpoint.expected_ipv4_addrs HostEndpoint.expected_ipv6_addrs WorkloadEndpoint.ipv4_nets "
            "WorkloadEndpoint.ipv6_nets WorkloadEndpoint.allow_spoofed_source_prefixes NatInfo.ext_ip NatInfo.int_ip "
            "HostMetadataUpdate.ipv4_addr HostMetadataUpdate.ipv6_addr HostMetadataRemove.ipv4_addr HostMetadataV6Update.ipv6_addr "
            "HostMetadataV6Remove.ipv6_addr HostMetadataV4V6Update.ipv4_addr HostMetadataV4V6Update.ipv6_addr "
            "HostMetadataV4V6Remove.ipv4_addr IPAMPool.cidr RouteUpdate.dst RouteUpdate.dst_node_ip RouteRemove.dst "
            "VXLANTunnelEndpointUpdate.ipv4_addr VXLANTunnelEndpointUpdate.parent_device_ip VXLANTunnelEndpointUpdate.ipv6_addr "
            "VXLANTunnelEndpointUpdate.parent_device_ipv6 WireguardEndpointUpdate.interface_ipv4_addr "
            "WireguardEndpointV6Update.interface_ipv6_addr GlobalBGPConfigUpdate.service_cluster_cidrs "
            "GlobalBGPConfigUpdate.service_external_cidrs GlobalBGPConfigUpdate.service_loadbalancer_cidrs "
            "GlobalBGPConfigUpdate.local_workload_peering_ip_v4 GlobalBGPConfigUpdate.local_workload_peering_ip_v6 "
            "ServiceUpdate.cluster_ips ServiceUpdate.loadbalancer_ip ServiceUpdate.external_ips ServiceUpdate.loadbalancer_ingress_ips",
            self.pool_id: "IPAMPoolUpdate.id IPAMPoolRemove.id",
            self.selector: " ".join(f"Rule.{name}" for name in _rule_fields() if name.endswith("_selector"))
            + " ServiceAccountMatch.selector Policy.original_selector",
            self.policy: "PolicyID.name TierInfo.ingress_policies TierInfo.egress_policies",
            self.tier: "PolicyID.tier Policy.tier TierInfo.name",
            self.namespace: "PolicyID.namespace Policy.namespace NamespaceID.name ServiceAccountID.namespace ServiceUpdate.namespace "
            "ServiceRemove.namespace Rule.original_dst_service_namespace Rule.original_src_service_namespace",
            self.profile: "ProfileID.name HostEndpoint.profile_ids WorkloadEndpoint.profile_ids",
            self.account: "ServiceAccountID.name ServiceAccountMatch.names",
            self.host: "HostMetadataUpdate.hostname HostMetadataRemove.hostname HostMetadataV6Update.hostname HostMetadataV6Remove.hostname "
            "HostMetadataV4V6Update.hostname HostMetadataV4V6Remove.hostname RouteUpdate.dst_node_name VXLANTunnelEndpointUpdate.node "
            "VXLANTunnelEndpointRemove.node WireguardEndpointUpdate.hostname WireguardEndpointRemove.hostname "
            "WireguardEndpointV6Update.hostname WireguardEndpointV6Remove.hostname",
            self.workload: "WorkloadEndpointID.workload_id",
            self.endpoint: "WorkloadEndpointID.endpoint_id",
            self.interface: "WorkloadEndpoint.name",
            self.named("hostendpoint"): "HostEndpointID.endpoint_id",
            self.named("service"): "ServiceUpdate.name ServiceRemove.name Rule.original_dst_service Rule.original_src_service",
            self.names.mac: "WorkloadEndpoint.mac VXLANTunnelEndpointUpdate.mac VXLANTunnelEndpointUpdate.mac_v6",
            self.names.public_key: "WireguardEndpointUpdate.public_key WireguardEndpointV6Update.public_key_v6",
            self.names.rule_id: "Rule.rule_id",
            self.label_key: "LabelsEntry.key AnnotationsEntry.key",
            self.value: "LabelsEntry.value AnnotationsEntry.value ConfigUpdate.message LocalBGPPeer.bgp_peer_name PathMatch.exact "
            "PathMatch.prefix WorkloadEndpoint.live_migration_uid WorkloadEndpoint.live_migration_vmi_name HostMetadataUpdate.asnumber "
            "HostMetadataV4V6Update.asnumber",
        }
        return {(name.partition(".")[0], name.partition(".")[2]): change for change, names in kinds.items() for name in names.split()}

    # --- packets

    def packet(self, packet: Mapping[str, Any]) -> dict[str, Any]:
        """Return a packet of a packets file, for the redacted stream. Raises ValueError for ``raw``, whose addresses are in bytes."""
        if "raw" in packet:
            raise ValueError("a raw packet can't be redacted")
        changed = dict(packet)
        for name in ("src", "dst"):
            if name in packet:
                changed[name] = self.addresses.text(packet[name])
        kind, colon, place = str(packet.get("from", "")).partition(":")
        if kind == "workload":
            parts = place.split("/")
            changed["from"] = kind + colon + (self.workload(place) if len(parts) == 2 else self._long_name(parts))
        elif kind == "interface" and self.names.knows("if", place):
            changed["from"] = kind + colon + self.interface(place)
        return changed

    def _long_name(self, parts: list[str]) -> str:
        orchestrator, *workload, endpoint = parts
        return "/".join((orchestrator, self.workload("/".join(workload)), self.endpoint(endpoint)))


def _rule_fields() -> list[str]:
    message = TO_DATAPLANE
    for name in ("active_policy_update", "policy", "inbound_rules"):
        message = inner(message.fields_by_name[name])
    return [field.name for field in message.fields]
