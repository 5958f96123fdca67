"""What people mean by --from and --to: a pod, the node, an interface or an address, as port and addresses of a frame."""

from ipaddress import ip_address
from typing import NamedTuple

from calico_p4.inspect.scene import Scene
from calico_p4.inspect.suggest import Unknown, unknown
from calico_p4.node_ports import node_addresses, own_node
from calico_p4.ports import Port
from datastore.kubernetes import HEADLESS, Service
from felix_proto.types import WorkloadEndpointID

HOST, UPLINK = "host", "uplink"
_SERVICES = ("svc/", "service/")
_PREFIXES = ("pod/", "pods/", "endpoint/", "workload:")


class Place(NamedTuple):
    """One end of a packet: ``addresses`` to choose from, the port where it enters, and the endpoint, where it is one here."""

    name: str
    addresses: tuple[str, ...]
    port: Port | None
    endpoint: WorkloadEndpointID | None = None


def find_place(scene: Scene, text: str) -> Place:
    """Return the place that ``text`` names: NAMESPACE/POD, svc/NAMESPACE/NAME, ``host``, ``interface:NAME`` or an address. Raises Unknown."""
    if text == HOST:
        return _host(scene)
    if text == UPLINK:
        raise Unknown("uplink: name an address instead; what is not on this node comes in and goes out by the uplink")
    if text.startswith("interface:"):
        return _interface(scene, text.removeprefix("interface:"))
    if text.startswith(_SERVICES):
        return _service(scene, text.partition("/")[2])
    try:
        address = str(ip_address(text))
    except ValueError:
        return _workload(scene, text)
    return _address(scene, address)


def find_service(scene: Scene, name: str) -> Service:
    """Return the service NAMESPACE/NAME. Raises Unknown."""
    known = scene.store.kubernetes
    if not known.configured:
        raise Unknown(f"service {name}: nothing is known of services here: the driver follows no Kubernetes, or the recording came without --k8s")
    namespace, _, rest = name.partition("/")
    service = known.services.get((namespace, rest))
    if service is None:
        raise unknown("service", name, ["/".join(key) for key in known.services])
    return service


def _service(scene: Scene, name: str) -> Place:
    """A service is where its addresses are: of the cluster, then external ones."""
    service = find_service(scene, name)
    addresses = tuple(address for address in (*service.cluster_ips, *service.external_ips, *service.vips) if address and address != HEADLESS)
    return Place(f"service {name}", addresses, None)


def _workload(scene: Scene, text: str) -> Place:
    name = text
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    key = scene.places.endpoint(name) or _by_id(scene, name)
    if key is None:
        raise unknown("workload endpoint", name, [scene.places.name(key) for key in scene.store.endpoints])
    return workload_place(scene, key)


def _by_id(scene: Scene, name: str) -> WorkloadEndpointID | None:
    """The endpoint of that id, ORCHESTRATOR/WORKLOAD/ENDPOINT, where the workload of Kubernetes is NAMESPACE/POD."""
    orchestrator, _, rest = name.partition("/")
    workload, _, endpoint = rest.rpartition("/")
    key = WorkloadEndpointID(orchestrator, workload, endpoint)
    return key if key in scene.store.endpoints else None


def workload_place(scene: Scene, key: WorkloadEndpointID) -> Place:
    """Return the place of an endpoint."""
    endpoint = scene.store.endpoints[key]
    nets = (net.partition("/")[0] for net in (*endpoint.ipv4_nets, *endpoint.ipv6_nets))
    return Place(scene.places.name(key), tuple(nets), scene.ports.get(endpoint.name), key)


def _host(scene: Scene) -> Place:
    addresses = tuple(text.partition("/")[0] for text in node_addresses(scene.store, own_node(scene.store)))
    if not addresses:
        raise Unknown("host: the stream gives no address of this node")
    return Place(HOST, addresses, next(iter(scene.ports.of_kind("host")), None))


def _interface(scene: Scene, name: str) -> Place:
    port = scene.ports.get(name)
    if port is None:
        raise unknown("interface", name, [port.name for port in scene.ports.all()])
    key = scene.places.at_interface(name)
    found = workload_place(scene, key) if key is not None else None
    addresses = found.addresses if found is not None else tuple(cidr.partition("/")[0] for cidr in port.addresses)
    return Place(f"interface {name}", addresses, port, key)


def _address(scene: Scene, address: str) -> Place:
    """An address enters where it belongs: at its workload, the host, or the uplink."""
    key = scene.places.owner(address)
    if key is not None:
        return Place(scene.places.name(key), (address,), scene.ports.get(scene.store.endpoints[key].name), key)
    kind = HOST if scene.places.is_own(address) else UPLINK
    return Place(address, (address,), next(iter(scene.ports.of_kind(kind)), None))


def choose_addresses(sender: Place, receiver: Place, family: int | None) -> tuple[str, str]:
    """Return an address of each, of one family: IPv4 where both have it. Raises Unknown."""
    for version in (family,) if family else (4, 6):
        pair = [next((text for text in place.addresses if ip_address(text).version == version), None) for place in (sender, receiver)]
        if pair[0] is not None and pair[1] is not None:
            return pair[0], pair[1]
    what = f"IPv{family}" if family else "one family"
    raise Unknown(f"{sender.name} ({', '.join(sender.addresses) or 'no address'}) and {receiver.name} "
                  f"({', '.join(receiver.addresses) or 'no address'}) have no addresses of {what} in common")  # fmt: skip
