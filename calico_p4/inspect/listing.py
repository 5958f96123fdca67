"""Lists of what there is: ``get``. Each kind gives objects with named fields, sorted."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from calico_p4.inspect.flows import flow_counts, flows
from calico_p4.inspect.lab import sets_of
from calico_p4.inspect.labels import Labels, row_id
from calico_p4.inspect.objects import Object, policy_object, profile_object, set_object
from calico_p4.inspect.origins import Origin, Origins
from calico_p4.inspect.places import find_place, find_service
from calico_p4.inspect.scene import Scene
from calico_p4.inspect.services import services
from calico_p4.inspect.suggest import Unknown, unknown
from calico_p4.offline import Offline
from k8s_p4.reasons import Reason
from k8s_p4.rejects import Rejected
from k8s_p4.rows import TABLES
from translator.names import endpoint_name

Item = dict[str, Any]


class Holding(Offline):
    """What a scene holds; entries are those read back from its target."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.store = scene, scene.store

    @cached_property
    def translator(self) -> Any:
        """The driver's own."""
        return self.scene.translator

    @cached_property
    def ports(self) -> Any:
        """The driver's own."""
        return self.scene.ports

    @cached_property
    def rows(self) -> dict[str, dict[Any, Any]]:
        """The rows on the target."""
        return dict(self.scene.all_rows())

    @cached_property
    def places(self) -> Any:
        """Who is where."""
        return self.scene.places

    @cached_property
    def owners(self) -> Counter[str]:
        """The number of entries by the object that they are there because of."""
        origins = Origins(self.scene)
        found = (origins.of(table, key, value) for table, rows in self.rows.items() for key, value in rows.items())
        return Counter(str(each) for origin in found for each in origin.objects)

    @cached_property
    def degraded(self) -> Any:
        """What does not work as intended."""
        return self.scene.driver.degraded()


class Filter(NamedTuple):
    """Which entries: of these tables, there because of these objects; nothing given: all."""

    tables: tuple[str, ...] = ()
    policy: str | None = None
    pod: str | None = None
    ipset: str | None = None
    service: str | None = None


def entries(scene: Scene, wanted: Filter) -> Iterator[Item]:
    """Yield entries with ``id, table, key, action, owner, objects, frames``, sorted by table and text. Raises Unknown."""
    for table in wanted.tables:
        if table not in TABLES:
            raise unknown("table", table, TABLES)
    objects = set(_objects(scene, wanted)) if wanted[1:] != Filter()[1:] else None
    sets = _with_their_sets(scene, objects) if objects is not None else None
    labels, origins = Labels(scene.translator), Origins(scene)
    for table in sorted(TABLES):
        if not wanted.tables or table in wanted.tables:
            yield from _of_table(scene, table, sets if "_identity_" in table else objects, labels, origins)


def _of_table(scene: Scene, table: str, objects: set[Object] | None, labels: Labels, origins: Origins) -> Iterator[Item]:
    rows = scene.rows(table)
    found = {key: origins.of(table, key, value) for key, value in rows.items()}
    chosen = {key: value for key, value in rows.items() if objects is None or objects & found[key].objects}
    for key, _, key_text, action in labels.rows(table, chosen):
        yield entry(table, key_text, action, found[key], origins)


def entry(table: str, key_text: str, action: str, origin: Origin, origins: Origins) -> Item:
    """Return one entry as data."""
    return {"id": row_id(table, key_text), "table": table, "key": key_text, "action": action, "owner": origin.text,
            "objects": sorted(map(str, origin.objects)), "frames": origins.frames(origin.objects)}  # fmt: skip


def _objects(scene: Scene, wanted: Filter) -> Iterator[Object]:
    """Yield the objects asked about."""
    if wanted.policy is not None:
        yield find_policy(scene, wanted.policy)
    if wanted.pod is not None:
        place = find_place(scene, wanted.pod)
        if place.endpoint is None:
            raise Unknown(f"{wanted.pod} is no workload endpoint")
        yield Object("WorkloadEndpoint", "/".join(place.endpoint))
    if wanted.ipset is not None:
        if wanted.ipset not in scene.store.ip_sets:
            raise unknown("IP set", wanted.ipset, scene.store.ip_sets)
        yield set_object(wanted.ipset)
    if wanted.service is not None:
        service = find_service(scene, wanted.service.removeprefix("svc/").removeprefix("service/"))
        yield Object("Service", f"{service.namespace}/{service.name}")


def _with_their_sets(scene: Scene, objects: set[Object]) -> set[Object]:
    """The objects, with the IP sets that those of them which are policies name: addresses have rows because of these."""
    owners: list[tuple[Object, Any]] = [(policy_object(key), policy) for key, policy in scene.store.policies.items()]
    owners += [(profile_object(name), profile) for name, profile in scene.store.profiles.items()]
    return objects | {set_object(name) for owner, value in owners if owner in objects for name in sets_of(value)}


def find_policy(scene: Scene, name: str) -> Object:
    """Return the policy or profile of that name: "KIND NAMESPACE/NAME", or without kind or namespace where that is clear. Raises Unknown."""
    known = [policy_object(key) for key in scene.store.policies] + [profile_object(key) for key in scene.store.profiles]
    wanted = name.replace(" ", "/", 1).split("/")
    found = [each for each in known if name == str(each) or [each.kind, *each.name.split("/")] == wanted]
    found = found or [each for each in known if each.name == name]
    found = found or [each for each in known if each.name.rpartition("/")[2] == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise Unknown(f"{name} is {' and '.join(map(str, sorted(found)))}; give kind or namespace too")
    raise unknown("policy", name, [each.name for each in known] + [str(each) for each in known])


def rule_hits(scene: Scene) -> Iterator[Item]:
    """Yield every rule, end of tier or of profiles that is on the target, with how often it decided or was passed, most often first."""
    totals = scene.hits()
    found: dict[tuple[str, Any], list[int]] = {}
    for (stage, path), count in totals.items():
        for place, ref in enumerate(reversed(path)):
            if ref is None:
                continue
            counts = found.setdefault((stage, ref), [0, 0])
            counts[place > 0] += count
    for (stage, ref), (decided, passed) in sorted(found.items(), key=lambda item: (-sum(item[1]), str(item[0]))):
        yield {"packets": decided + passed, "decided": decided, "passed": passed, "stage": stage, **_rule(ref)}


def _rule(ref: Any) -> Item:
    if ref.kind in ("failsafe", "tunnel"):
        name = f"{ref.kind.capitalize()} {ref.owner}"
        return {"policy": name, "tier": "", "rule_index": ref.rule_index, "rule_id": "", "action": ref.action, "trigger": ""}
    kinds = {"tier_end": "EndOfTier", "profiles_end": "EndOfProfiles", "chain_end": "EndOfPolicy", "closed": "Closed"}
    if ref.kind in kinds:
        trigger = str(policy_object(ref.owner)) if ref.owner is not None else ""
        return {"policy": kinds[ref.kind], "tier": ref.tier, "rule_index": None, "rule_id": None, "action": ref.action, "trigger": trigger}
    owner = profile_object(ref.owner) if isinstance(ref.owner, str) else policy_object(ref.owner)
    return {"policy": str(owner), "tier": ref.tier, "rule_index": ref.rule_index, "rule_id": ref.rule_id, "action": ref.action, "trigger": ""}


def policies(scene: Scene) -> Iterator[Item]:
    """Yield policies and profiles with the packets that their rules decided on or passed."""
    counts: Counter[str] = Counter()
    for rule in rule_hits(scene):
        counts[rule["policy"]] += rule["packets"]
    for item in Holding(scene).policies():
        name = f"{item['kind']} {'/'.join(filter(None, (item['namespace'], item['name'])))}"
        yield item | {"packets": counts[name]}


def table_use(scene: Scene) -> Iterator[Item]:
    """Yield the pipeline's tables with their use, in per cent of what P4Info says they take."""
    for item in Holding(scene).tables():
        yield item | {"used": f"{100 * item['entries'] / item['size']:.1f}%"}


def dropped(scene: Scene) -> Iterator[Item]:
    """Yield the packets dropped by reason, most first."""
    for reason, count in sorted(scene.drops().items(), key=lambda item: -item[1]):
        yield {"packets": count, "reason": _reason(reason)}


def _reason(number: int) -> str:
    try:
        return Reason(number).contract_name
    except ValueError:
        return str(number)


def rejected(scene: Scene) -> Iterator[Item]:
    """Yield what became of answers to denied packets, most first."""
    for number, count in sorted(scene.rejects().items(), key=lambda item: -item[1]):
        fate = Rejected(number)
        yield {"packets": count, "fate": fate.name.lower(), "meaning": fate.text}


def degraded(scene: Scene) -> Iterator[Item]:
    """Yield what does not work as intended."""
    yield from (entry.as_dict() for entry in scene.driver.degraded())


def routes(scene: Scene) -> Iterator[Item]:
    """Yield the stream's routes, sorted by prefix."""
    from felix_proto.types import RouteType

    for dst, route in sorted(scene.store.routes.items()):
        types = [kind.name.lower() for kind in RouteType if kind and kind.name and route.types & kind]
        tunnels = [name for name, on in route.tunnel_type._asdict().items() if on] if route.tunnel_type else []
        yield {"name": dst, "types": types, "node": route.dst_node_name, "node_ip": route.dst_node_ip, "pool_type": route.ip_pool_type,
               "same_subnet": route.same_subnet, "nat_outgoing": route.nat_outgoing, "borrowed": route.borrowed, "tunnels": tunnels,
               "way": scene.translator.way(dst)}  # fmt: skip
    for dst, mirrored in sorted(scene.store.fib.items()):
        yield {"name": dst, "types": ["fib"], "node": "", "node_ip": mirrored.gateway, "pool_type": 0, "same_subnet": False, "nat_outgoing": False,
               "borrowed": False, "tunnels": [mirrored.interface] if mirrored.interface else [], "way": scene.translator.way(f"fib {dst}")}  # fmt: skip


def nodes(scene: Scene) -> Iterator[Item]:
    """Yield the nodes, with their VTEPs."""
    for name, node in sorted(scene.store.host_metadata.items()):
        vtep = scene.store.vteps.get(name)
        own = name == scene.store.config.get("FelixHostname")
        yield {"name": name, "ipv4": node.ipv4_addr, "ipv6": node.ipv6_addr, "own": own, "vtep": vtep.ipv4_addr if vtep else "",
               "vtep_mac": vtep.mac if vtep else "", "asnumber": node.asnumber, "labels": dict(node.labels)}  # fmt: skip


def vteps(scene: Scene) -> Iterator[Item]:
    """Yield the VXLAN tunnel endpoints of the nodes: inner address and MAC, and the address outside."""
    for name, vtep in sorted(scene.store.vteps.items()):
        own = name == scene.store.config.get("FelixHostname")
        yield {"name": name, "own": own, "ipv4": vtep.ipv4_addr, "mac": vtep.mac, "parent_ipv4": vtep.parent_device_ip,
               "ipv6": vtep.ipv6_addr, "mac_v6": vtep.mac_v6, "parent_ipv6": vtep.parent_device_ipv6}  # fmt: skip


def pools(scene: Scene) -> Iterator[Item]:
    """Yield the address pools."""
    for name, pool in sorted(scene.store.pools.items()):
        yield {"name": name, "cidr": pool.cidr, "masquerade": pool.masquerade, "ipip": pool.ipip_mode, "vxlan": pool.vxlan_mode}


def host_endpoints(scene: Scene) -> Iterator[Item]:
    """Yield the host endpoints, each with the interfaces where it stands."""
    placed = scene.translator.reach.hosts
    for name, endpoint in sorted(scene.store.host_endpoints.items()):
        tiers = {field: [tier.name for tier in getattr(endpoint, field)] for field in ("tiers", "untracked_tiers", "pre_dnat_tiers", "forward_tiers")}
        addresses = [*endpoint.expected_ipv4_addrs, *endpoint.expected_ipv6_addrs]
        there = sorted(interface for interface, key in placed.by_interface.items() if key == name)
        there += ["workload interfaces"] if placed.all_interfaces == name else []
        yield {"name": name, "interface": endpoint.name, "addresses": addresses, "stands_at": there, "profiles": list(endpoint.profile_ids), **tiers}


def ports(scene: Scene) -> Iterator[Item]:
    """Yield the ports of the switch."""
    for port in scene.ports.all():
        yield {
            "name": port.name, "number": port.number, "kind": port.kind, "state": "up" if port.up else "down", "mac": port.mac.to_bytes(6).hex(":"),
            "addresses": list(port.addresses), "own_mac": port.own_mac.to_bytes(6).hex(":"),
            "neighbours": [f"{address}={mac.to_bytes(6).hex(':')}" for address, mac in port.neighbours],
        }  # fmt: skip


def config(scene: Scene) -> Iterator[Item]:
    """Yield Felix's configuration as it was set."""
    yield from ({"name": name, "value": value} for name, value in sorted(scene.store.config.items()))


KINDS: Mapping[str, Callable[[Scene], Iterator[Item]]] = {
    "endpoints": lambda scene: Holding(scene).endpoints(),
    "policies": policies,
    "ipsets": lambda scene: Holding(scene).ip_sets(),
    "tables": table_use,
    "rules": rule_hits,
    "drops": dropped,
    "rejects": rejected,
    "flows": flows,
    "flowcounts": flow_counts,
    "degraded": degraded,
    "routes": routes,
    "nodes": nodes,
    "vteps": vteps,
    "services": services,
    "pools": pools,
    "hostendpoints": host_endpoints,
    "ports": ports,
    "config": config,
}
"""Kinds without a filter of their own; ``entries`` has one."""


def listed(scene: Scene, kind: str, wanted: Filter) -> list[Item]:
    """Return the objects of a kind. Raises Unknown for a name in the filter, KeyError for a kind."""
    return list(entries(scene, wanted) if kind == "entries" else KINDS[kind](scene))


def explain(scene: Scene, wanted: str) -> Item:
    """Return one entry with everything about it: by its id (or the beginning of it) or by "TABLE KEY". Raises Unknown."""
    table, _, key = wanted.partition(" ")
    chosen = entries(scene, Filter((table,) if table in TABLES else ()))
    found = [each for each in chosen if (each["key"] == key and each["table"] == table) or (len(wanted) >= 4 and each["id"].startswith(wanted))]
    if len(found) != 1:
        if found:
            raise Unknown(f"{wanted} is the beginning of {len(found)} ids: {', '.join(each['id'] for each in found[:10])}")
        raise Unknown(f"no entry {wanted!r}: give an id as get entries -o wide prints it, or \"TABLE KEY\" as get entries does")
    (one,) = found
    known = TABLES[one["table"]]
    sets = {name: _set(scene, name) for kind, name in (each.split(" ", 1) for each in one["objects"]) if kind == "IPSet"}
    return one | {"module": known.owner, "size": known.size, "wanted": _wanted(scene, one), "ipsets": sets,
                  "endpoints": [str(each) for each in one["objects"] if each in _endpoint_names(scene)]}  # fmt: skip


def _endpoint_names(scene: Scene) -> set[str]:
    return {endpoint_name(key) for key in scene.store.endpoints}


def _set(scene: Scene, name: str) -> Item:
    known = scene.store.ip_sets[name]
    return {"members": len(known.members), "selector": selector_of(scene, name), "some": sorted(known.members)[:5]}


def selector_of(scene: Scene, set_id: str) -> str:
    """Return the selector that rules give for an IP set they name, as far as the stream tells; "" if it does not."""
    owners: list[Any] = [*scene.store.policies.values(), *scene.store.profiles.values()]
    for owner in owners:
        for rule in (*owner.inbound_rules, *owner.outbound_rules):
            for side in ("src", "dst"):
                if set_id in getattr(rule, f"{side}_ip_set_ids"):
                    words = (getattr(rule, f"original_{side}_namespace_selector"), getattr(rule, f"original_{side}_selector"))
                    return "; ".join(filter(None, words))
    return ""


def _wanted(scene: Scene, one: Item) -> bool:
    """Whether the driver wants this entry as it is; an entry on the target that it does not want is a stale or foreign one."""
    labels = Labels(scene.translator)
    texts = {(key, action) for _, _, key, action in labels.rows(one["table"], dict(scene.desired(one["table"])))}
    return (one["key"], one["action"]) in texts
