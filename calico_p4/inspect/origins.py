"""Who a row is there for: the Calico objects behind it, worked out from the names of its fields, whatever table it is in.

    slot          the rules of its path           list       the rules of all rows of that list
    endpoint      the workload or host endpoint   chain      the policies and profiles it is made of
    identity      the IP sets and CIDR lists      port       the endpoint behind that interface
    node          its HostMetadata                tunnel     the VTEP or node that it leads to
    group         the service that it is of, as are inside and outside; of a service's address the one that has it
    address, prefix, target                       the endpoint, node or route of that address, where nothing else says more, and of routes
"""

from collections.abc import Iterator
from functools import cached_property
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from calico_p4.inspect.objects import Object, endpoint_object, policy_object, profile_object, set_object
from calico_p4.inspect.scene import Scene
from felix_proto.types import PolicyID, WorkloadEndpointID
from k8s_p4.rows import TABLES
from translator.endpoint_chains import chain_key, host_chain_key
from translator.rejects import settings
from translator.slots import OWN
from translator.stages import BY_NAME, STAGES

Row = tuple[str, Any, Any]
_PORTS = frozenset(("ingress_port", "port"))
_GROUPS = frozenset(("group", "inside", "outside"))
_ADDRESSES = frozenset(("address", "prefix", "target"))
_ROUTES = ("route_", "tunnel_source_")


class Origin(NamedTuple):
    """``objects`` asked for the row; ``text`` says what it is there for."""

    objects: frozenset[Object]
    text: str


class Origins:
    """The origins of the rows of one scene."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._lists: dict[str, dict[int, frozenset[Object]]] = {}

    def of(self, table: str, key: Any, value: Any) -> Origin:
        """Return the origin of a row."""
        fields = list(self._named(table, key, value))
        objects: set[Object] = set()
        if table.startswith("service_v") and (service := self._scene.translator.services.owner(table, key)) is not None:
            objects.add(Object("Service", "/".join(service)))
        for name, number in fields:
            if name not in _ADDRESSES:
                objects |= self._objects(table, name, number)
        if not objects or table.startswith(_ROUTES):
            objects |= {each for name, number in fields if name in _ADDRESSES for each in self._at(number, _bits(table))}
        return Origin(frozenset(objects), self._text(table, fields, objects))

    def _named(self, table: str, key: Any, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield (name, number or pair) for the fields of the key and the parameters of the action."""
        known = TABLES[table]
        yield from ((field.name, item) for field, item in zip(known.fields, key, strict=False))
        yield from ((param.name, item) for param, item in zip(known.actions[value[0]].params, value[1:], strict=True))

    def _objects(self, table: str, name: str, item: Any) -> frozenset[Object]:
        stage = table.partition(".")[0]
        number = item[0] if isinstance(item, tuple) else item
        if name == "slot":
            return self.of_path(self._scene.translator.slot_origin(stage, number) or ())
        if name in ("endpoint", "host_endpoint"):
            return self._endpoint(number)
        if name == "identity":
            return self._groups(self._side(table), number)
        if name == "list":
            return frozenset() if table.endswith(".rules") else self._list(stage, number)
        if name == "chain":
            return self._chain(stage, number)
        if name in _PORTS:
            return self._behind(number)
        if name in _GROUPS:
            return self._group_of_backends(number)
        if name == "node":
            return frozenset((Object("HostMetadata", self._scene.translator.node(number)),))
        if table == "reject":
            return frozenset(Object("Config", f"{each}=Reject") for each in settings(self._scene.store.config, number))
        if name == "tunnel":
            return self._tunnel(self._scene.translator.tunnel(number))
        return frozenset()

    # --- by kind of field

    def of_path(self, path: Any) -> frozenset[Object]:
        """Return the policies and profiles that a slot's path speaks of."""
        return frozenset(_ref_object(ref) for ref in path if ref.owner is not None)

    def _group_of_backends(self, number: int) -> frozenset[Object]:
        """The service of a group, whose name starts with it: NAMESPACE/NAME:PORT/PROTOCOL ..."""
        known = self._scene.translator.group(number)
        return frozenset((Object("Service", known.partition(":")[0]),)) if number and known else frozenset()

    def _tunnel(self, way: str) -> frozenset[Object]:
        """The node that a tunnel leads to, by what says how: ways are named KIND:node:NODE, KIND:node:NODE/FAMILY or KIND:via:ADDRESS."""
        kind, _, end = way.partition(":")
        where, _, name = end.partition(":")
        if where != "node":
            return frozenset((Object("Tunnel", way),))
        return frozenset((Object("VXLANTunnelEndpoint", name) if kind.startswith("vxlan") else Object("HostMetadata", name.rpartition("/")[0]),))

    def _endpoint(self, number: int) -> frozenset[Object]:
        key, host = self._endpoints.get(number), self._scene.translator.host_endpoint(number)
        if host is not None:
            return frozenset((Object("HostEndpoint", host),))
        return frozenset() if key is None else frozenset((endpoint_object(key),))

    @cached_property
    def _endpoints(self) -> dict[int, WorkloadEndpointID]:
        """Endpoints by their number on the target, read off the rows that name both number and interface."""
        found: dict[int, WorkloadEndpointID] = {}
        for (port,), value in self._scene.rows("port").items():
            named = dict(self._named("port", (port,), value))
            known = self._scene.ports.by_number(port)
            key = self._scene.places.at_interface(known.name) if known is not None else None
            if "endpoint" in named and key is not None:
                found[named["endpoint"]] = key
        return found

    def _side(self, table: str) -> str:
        """Which side of the packet an identity in this table is of."""
        stage, _, name = table.partition(".")
        if stage not in BY_NAME:
            return table.partition("_identity_")[0]
        return BY_NAME[stage].own if name == "self_class" else BY_NAME[stage].peer

    def _groups(self, side: str, identity: int) -> frozenset[Object]:
        return frozenset(self._group(name) for name in self.group_names(side, identity))

    def _group(self, name: str) -> Object:
        """A group's name is that of an IP set, of one port of it ("ID[6:80]"), or a list of CIDRs."""
        set_id = name.partition("[")[0]
        return set_object(set_id) if set_id in self._scene.store.ip_sets else Object("CIDRs", name)

    def group_names(self, side: str, identity: int) -> list[str]:
        """Return the names of the groups that an identity stands for; none for one that is not in use."""
        known = self._scene.translator.policy.sides.get(side)
        try:
            return list(known.names_of(known.content(identity))) if known else []
        except KeyError:
            return []

    def _list(self, stage: str, number: int) -> frozenset[Object]:
        if stage not in self._lists:
            lists: dict[int, set[Object]] = {}
            for key, value in self._scene.rows(f"{stage}.rules").items() if f"{stage}.rules" in TABLES else ():
                lists.setdefault(key[0][0], set()).update(self._objects(f"{stage}.rules", "slot", value[1]))
            self._lists[stage] = {number: frozenset(objects) for number, objects in lists.items()}
        passed = self._scene.translator.slot_origin(stage, number & ~OWN) or ()
        return self._lists[stage].get(number & OWN, frozenset()) | self.of_path(passed)

    def _chain(self, stage: str, number: int) -> frozenset[Object]:
        return self._chains.get((stage, number), frozenset())

    @cached_property
    def _chains(self) -> dict[tuple[str, int], frozenset[Object]]:
        """What the chains that endpoints are bound to are made of."""
        found = {}
        numbers = {key: number for number, key in self._endpoints.items()}
        for key, endpoint in self._scene.store.endpoints.items():
            for stage in ("egress", "ingress"):
                bound = self._scene.rows(f"{stage}.binding").get((numbers.get(key),))
                if bound is not None:
                    owners = chain_key(endpoint, stage).owners()
                    found[stage, bound[1]] = frozenset(_owner(owner) for _, owner in owners)
        return found | dict(self._host_chains())

    def _host_chains(self) -> Iterator[tuple[tuple[str, int], frozenset[Object]]]:
        hosts = self._scene.store.host_endpoints
        for stage in STAGES:
            for (number,), bound in self._scene.rows(f"{stage.name}.binding").items():
                host = hosts.get(self._scene.translator.host_endpoint(number) or "")
                if host is not None:
                    owners = host_chain_key(host, stage).owners()
                    yield (stage.name, bound[1]), frozenset(_owner(owner) for kind, owner in owners if kind in ("policy", "profile"))

    def _behind(self, port: int) -> frozenset[Object]:
        known = self._scene.ports.by_number(port)
        key = self._scene.places.at_interface(known.name) if known is not None and known.kind == "workload" else None
        if key is not None:
            return frozenset((endpoint_object(key),))
        return frozenset((Object("Port", known.name),)) if known is not None else frozenset()

    def _at(self, item: Any, bits: int) -> frozenset[Object]:
        value, length = item if isinstance(item, tuple) else (item, bits)
        address = ip_address(value) if bits == 32 else ip_address(value.to_bytes(16))
        prefix = str(ip_network((int(address) if bits == 32 else address.packed, length)))
        found = {Object("Route", prefix)} if prefix in self._scene.store.routes else set()
        if length == bits:
            owner = self._scene.places.owner(str(address))
            found |= {endpoint_object(owner)} if owner is not None else set()
            found |= {Object("HostMetadata", node) for node in self._nodes.get(str(address), ())}
        return frozenset(found)

    @cached_property
    def _nodes(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, node in self._scene.store.host_metadata.items():
            for text in (node.ipv4_addr, node.ipv6_addr):
                if text:
                    found.setdefault(text.partition("/")[0], []).append(name)
        return found

    # --- text

    def _text(self, table: str, fields: list[tuple[str, Any]], objects: set[Object]) -> str:
        slots = [item for name, item in fields if name == "slot"]
        if slots:
            path = self._scene.translator.slot_origin(table.partition(".")[0], slots[0])
            return path_words(path) if path else f"slot {slots[0]}, which nothing leads to"
        shown = [str(each) for each in sorted(objects, key=lambda each: (each.kind != "WorkloadEndpoint", each))]
        return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "") if shown else "the node itself"

    def frames(self, objects: frozenset[Object]) -> dict[str, int]:
        """Return, for those of the objects that a message spoke of, the frame of the last one."""
        known = ((str(each), self._scene.history.frame(each)) for each in sorted(objects))
        return {name: frame for name, frame in known if frame is not None}


def _owner(owner: PolicyID | str) -> Object:
    return profile_object(owner) if isinstance(owner, str) else policy_object(owner)


def _ref_object(ref: Any) -> Object:
    """Failsafe ports and tunnels are rules of no policy."""
    return Object(ref.kind.capitalize(), ref.owner) if ref.kind in ("failsafe", "tunnel") else _owner(ref.owner)


def _bits(table: str) -> int:
    """Width of the addresses in a table's key, or in what its actions take."""
    known = TABLES[table]
    fields = (*known.fields, *(param for action in known.actions.values() for param in action.params))
    return next(field.bits for field in fields if field.name in _ADDRESSES)


_ENDS = {"chain_end": "end of policy without a verdict", "closed": "policy that can't be translated"}


def path_words(path: Any) -> str:
    """Return a slot's path in words: what decided, then what was passed on the way."""
    *passed, decided = path
    words = _ref_words(decided)
    return f"{words}, after {', '.join(map(_ref_words, passed))}" if passed else words


def _ref_words(ref: Any) -> str:
    if ref.kind == "tier_end":
        return f"end of tier {ref.tier} ({ref.direction}), of {_owner(ref.owner)}"
    if ref.kind in _ENDS:
        return f"{_ENDS[ref.kind]} ({ref.direction})"
    if ref.kind in ("failsafe", "tunnel"):
        return f"{ref.kind} {ref.owner} ({ref.direction})" if ref.direction else f"{ref.kind} {ref.owner}"
    if ref.kind == "profiles_end":
        return f"end of profiles ({ref.direction})"
    return f"{_owner(ref.owner)} {ref.direction} rule {ref.rule_index} {ref.action}"
