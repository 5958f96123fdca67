"""One object in full: ``describe``. Lines for people, and the object as the stream gave it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from calico_p4.inspect.difference import plain
from calico_p4.inspect.labels import row_id
from calico_p4.inspect.listing import Filter, Holding, entries, find_policy, host_endpoints, routes, rule_hits, selector_of, vteps
from calico_p4.inspect.objects import Object, policy_object, profile_object
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.services import describe_service
from calico_p4.inspect.suggest import unknown
from calico_p4.offline import DIRECTIONS, live
from felix_proto.types import HostEndpoint, PolicyID, Rule, TierInfo, WorkloadEndpoint, WorkloadEndpointID
from translator.failsafe import INBOUND, OUTBOUND, failsafe_ports
from translator.names import ALL_INTERFACES, endpoint_name, host_endpoint_name

Lines = Iterator[str]
_NOT_MATCHED = ("action", "rule_id", "metadata", "http_match", "src_service_account_match", "dst_service_account_match")


def describe(scene: Scene, kind: str, name: str) -> dict[str, Any]:
    """Return ``lines`` and ``object``. Raises Unknown for a name that nothing has."""
    lines, value = DESCRIBED[kind](scene, name)
    return {"kind": kind, "name": name, "lines": list(lines), "object": plain(value)}


def _endpoint(scene: Scene, name: str) -> tuple[Lines, Any]:
    key = scene.places.endpoint(name)
    if key is None:
        raise unknown("endpoint", name, [scene.places.name(key) for key in scene.store.endpoints])
    return _endpoint_lines(Holding(scene), key), scene.store.endpoints[key]


def _endpoint_lines(state: Holding, key: WorkloadEndpointID) -> Lines:
    """The endpoint itself, then for each direction what decides, in order, then its rows."""
    endpoint = state.store.endpoints[key]
    yield from _head(state, key, endpoint)
    for direction in DIRECTIONS:
        yield f"{direction.capitalize()}:"
        for tier in endpoint.tiers:
            yield from _tier(state, tier, direction)
        for profile in endpoint.profile_ids:
            yield f"  Profile {profile}"
            yield from _rule_lines(getattr(state.store.profiles.get(profile), _rules_of(direction), None))
        yield "  End of profiles: deny"
    yield "Entries:"
    for item in entries(state.scene, Filter(pod="/".join(key))):
        yield f"  {item['table']} {item['key']} -> {item['action']}"


def _head(state: Holding, key: WorkloadEndpointID, endpoint: WorkloadEndpoint) -> Lines:
    port, frame = state.ports.get(endpoint.name), state.scene.history.frame(Object("WorkloadEndpoint", "/".join(key)))
    yield f"Name:       {state.places.name(key)}"
    yield f"Id:         {'/'.join(key)}"
    yield f"State:      {endpoint.state}"
    yield f"Interface:  {endpoint.name} (MAC {port.mac.to_bytes(6).hex(':') if port else 'unknown'})"
    yield f"Addresses:  {', '.join((*endpoint.ipv4_nets, *endpoint.ipv6_nets)) or 'none'}"
    yield f"Last frame: {'-' if frame is None else frame}"
    for entry in state.degraded:
        if entry.object == endpoint_name(key):
            yield f"Degraded:   {entry.direction}: {entry.effect}: {entry.reason}"


def _rules_of(direction: str) -> str:
    return "inbound_rules" if direction == "ingress" else "outbound_rules"


def _host_endpoint(scene: Scene, name: str) -> tuple[Lines, Any]:
    endpoint = scene.store.host_endpoints.get(name)
    if endpoint is None:
        raise unknown("host endpoint", name, scene.store.host_endpoints)
    return _host_lines(Holding(scene), name, endpoint), endpoint


def _host_lines(state: Holding, name: str, endpoint: HostEndpoint) -> Lines:
    """The host endpoint and where it stands, then for each stage and direction what decides, in order."""
    (item,) = (item for item in host_endpoints(state.scene) if item["name"] == name)
    frame = state.scene.history.frame(Object("HostEndpoint", name))
    yield f"Id:         {name}"
    yield f"Interface:  {endpoint.name or 'by expected addresses'}"
    yield f"Expects:    {', '.join(item['addresses']) or '-'}"
    yield f"Stands at:  {', '.join(item['stands_at']) or 'no interface of this node'}"
    yield f"Last frame: {'-' if frame is None else frame}"
    for entry in state.degraded:
        if entry.object == host_endpoint_name(name):
            yield f"Degraded:   {entry.direction}: {entry.effect}: {entry.reason}"
    for title, section, directions in _HOST_STAGES:
        for direction in directions:
            yield from _host_stage(state, endpoint, f"{title} {direction}", section, direction)
    yield "Entries:"
    for item in entries(state.scene, Filter()):
        if host_endpoint_name(name) in item["objects"]:
            yield f"  {item['table']} {item['key']} -> {item['action']}"


_HOST_STAGES = (("Untracked", "untracked_tiers", DIRECTIONS), ("Pre-DNAT", "pre_dnat_tiers", ("ingress",)),
                ("Forward", "forward_tiers", DIRECTIONS), ("Normal", "tiers", DIRECTIONS))  # fmt: skip


def _host_stage(state: Holding, endpoint: HostEndpoint, title: str, section: str, direction: str) -> Lines:
    """One stage: failsafe ports first where it has any, then tiers, then what its end decides."""
    tiers = [tier for tier in getattr(endpoint, section) if list(live(tier, direction))]
    normal = section == "tiers"
    if not (tiers or normal):
        return
    yield f"{title}:"
    if section == "untracked_tiers" and endpoint.name == ALL_INTERFACES:
        yield "  ignored: it stands for all interfaces"
        return
    if section != "forward_tiers":
        ports, _ = failsafe_ports(state.store.config, INBOUND if direction == "ingress" else OUTBOUND)
        yield f"  Failsafe ports: {', '.join(port.text for port in ports) or 'none'}"
    for tier in tiers:
        yield from _tier(state, tier, direction)
    for profile in endpoint.profile_ids if normal else ():
        yield f"  Profile {profile}"
        yield from _rule_lines(getattr(state.store.profiles.get(profile), _rules_of(direction), None))
    yield "  End of profiles: deny" if normal else "  End: no verdict"


def _tier(state: Holding, tier: TierInfo, direction: str) -> Lines:
    policies = list(live(tier, direction))
    if not policies:
        return
    yield f"  Tier {tier.name} (at its end: {tier.default_action or 'Deny'})"
    for policy in policies:
        yield f"    {policy_object(policy)}"
        yield from (f"  {line}" for line in _rule_lines(getattr(state.store.policies.get(policy), _rules_of(direction), None)))


def _rule_lines(rules: tuple[Rule, ...] | None) -> Lines:
    if rules is None:
        yield "    was never sent: closed"
        return
    for index, rule in enumerate(rules):
        yield f"    {index} {rule.action or 'allow'}{criteria(rule)}"


def _policy(scene: Scene, name: str) -> tuple[Lines, Any]:
    found = find_policy(scene, name)
    if found.kind == "Profile":
        profile = scene.store.profiles[found.name]
        return _owner_lines(scene, found, profile, ""), profile
    (key,) = (key for key in scene.store.policies if policy_object(key) == found)
    return _owner_lines(scene, found, scene.store.policies[key], scene.store.policies[key].tier or key.tier), scene.store.policies[key]


def _owner_lines(scene: Scene, found: Object, value: Any, tier: str) -> Lines:
    frame = scene.history.frame(found)
    yield f"Name:       {found}"
    yield f"Tier:       {tier or '-'}"
    yield f"Selector:   {getattr(value, 'original_selector', '') or '-'}"
    yield f"Last frame: {'-' if frame is None else frame}"
    yield f"Governs:    {', '.join(_governed(scene, found)) or 'no endpoint of this node'}"
    counts = {(hit["stage"], hit["rule_index"]): hit["packets"] for hit in rule_hits(scene) if hit["policy"] == str(found)}
    for direction, rules in (("ingress", value.inbound_rules), ("egress", value.outbound_rules)):
        yield f"{direction.capitalize()} rules:"
        for index, rule in enumerate(rules):
            yield f"  {index} {rule.action or 'allow'}{criteria(rule)}  (rule id {rule.rule_id or '-'}, {counts.get((direction, index), 0)} packets)"
    yield "Entries:"
    for table, number in _counts(entries(scene, Filter(policy=str(found)))).items():
        yield f"  {table}: {number}"


def _governed(scene: Scene, found: Object) -> Iterator[str]:
    for key, endpoint in sorted(scene.store.endpoints.items()):
        names: set[PolicyID | str] = {*endpoint.profile_ids}
        for tier in endpoint.tiers:
            names |= {*tier.ingress_policies, *tier.egress_policies}
        if any((profile_object(name) if isinstance(name, str) else policy_object(name)) == found for name in names):
            yield scene.places.name(key)


def _counts(items: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in items:
        found[item["table"]] = found.get(item["table"], 0) + 1
    return found


def _ip_set(scene: Scene, name: str) -> tuple[Lines, Any]:
    known = scene.store.ip_sets.get(name)
    if known is None:
        raise unknown("IP set", name, scene.store.ip_sets)
    return _set_lines(scene, name, known), {"type": int(known.type), "members": sorted(known.members)}


def _set_lines(scene: Scene, name: str, known: Any) -> Lines:
    yield f"Id:         {name}"
    yield f"Selector:   {selector_of(scene, name) or '-'}"
    frame = scene.history.frame(Object("IPSet", name))
    yield f"Last frame: {'-' if frame is None else frame}"
    yield f"Members:    {len(known.members)}"
    yield from (f"  {member}{_owner(scene, member)}" for member in sorted(known.members))
    yield "Entries:"
    for item in entries(scene, Filter(ipset=name)):
        yield f"  {row_id(item['table'], item['key'])} {item['table']} {item['key']} -> {item['action']}"


def _owner(scene: Scene, member: str) -> str:
    """The local endpoint that a member is, where it is one."""
    address, slash, length = member.partition(",")[0].partition("/")
    if slash and length not in ("32", "128"):
        return ""
    key = scene.places.owner(address)
    return f"  {scene.places.name(key)}" if key is not None else ""


def _named(what: str, there: Callable[[Scene], Mapping[str, Any]], lines: Callable[[Scene, str], Lines]) -> Callable[[Scene, str], tuple[Lines, Any]]:
    """How something is described that the store has by name."""

    def describe(scene: Scene, name: str) -> tuple[Lines, Any]:
        if name not in there(scene):
            raise unknown(what, name, there(scene))
        return lines(scene, name), there(scene)[name]

    return describe


def _route(scene: Scene, name: str) -> Lines:
    (item,) = (item for item in routes(scene) if item["name"] == name)
    yield f"Prefix:     {name}"
    yield f"Types:      {', '.join(item['types']) or 'cidr_info'}"
    yield f"Node:       {item['node'] or '-'} ({item['node_ip'] or 'address not known'})"
    yield f"Way:        {item['way'] or 'asks for no route'}"
    yield from _rows_of(scene, Object("Route", name))


def _vtep(scene: Scene, name: str) -> Lines:
    (item,) = (item for item in vteps(scene) if item["name"] == name)
    yield f"Node:       {name}{' (this one)' if item['own'] else ''}"
    yield f"IPv4:       {item['ipv4'] or '-'} MAC {item['mac'] or '-'}, outside {item['parent_ipv4'] or '-'}"
    yield f"IPv6:       {item['ipv6'] or '-'} MAC {item['mac_v6'] or '-'}, outside {item['parent_ipv6'] or '-'}"
    ways = [f"vxlan-{family}:node:{name}" for family in ("v4", "v6")]
    for way in ways:
        yield f"Routes:     {sum(item['way'] == way for item in routes(scene))} by {way}"
    yield from _rows_of(scene, Object("VXLANTunnelEndpoint", name))


def _rows_of(scene: Scene, found: Object) -> Lines:
    frame = scene.history.frame(found)
    yield f"Last frame: {'-' if frame is None else frame}"
    yield "Entries:"
    for item in entries(scene, Filter()):
        if str(found) in item["objects"]:
            yield f"  {item['table']} {item['key']} -> {item['action']}"


def criteria(rule: Rule) -> str:
    """Return the criteria of a rule by their names on the wire, those that say nothing left out."""
    given = [(name, getattr(rule, name)) for name in rule._fields if name not in _NOT_MATCHED and not name.startswith("original_")]
    return "".join(f" {name}={_value(name, value)}" for name, value in given if value not in ((), None, 0, ""))


def _value(name: str, value: Any) -> str:
    if name in ("icmp", "not_icmp"):
        return "/".join(str(part) for part in value if part is not None)
    if name.endswith("_ports"):
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in value)
    return ",".join(value) if isinstance(value, tuple) else str(value)


DESCRIBED: dict[str, Callable[[Scene, str], tuple[Lines, Any]]] = {
    "endpoint": _endpoint, "pod": _endpoint, "policy": _policy, "profile": _policy, "ipset": _ip_set,
    "route": _named("route", lambda scene: scene.store.routes, _route), "vtep": _named("VTEP", lambda scene: scene.store.vteps, _vtep), "service": describe_service, "hostendpoint": _host_endpoint,
}  # fmt: skip
