"""What differs between two states: rows by what they mean, and the objects of the stream; without regard to order, numbers or counters."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from calico_p4.files import read_text
from calico_p4.inspect.labels import Labels
from calico_p4.inspect.objects import Object, endpoint_object, policy_object, profile_object, set_object
from calico_p4.inspect.origins import Origins
from calico_p4.inspect.scene import Scene

Item = dict[str, Any]


def rows_of(scene: Scene, which: str) -> list[Item]:
    """Return the rows that are wanted (``desired``) or on the target (``actual``): ``table, key, action, owner``, each text once."""
    labels, origins = Labels(scene.translator), Origins(scene)
    found: dict[tuple[str, str, str], Item] = {}
    for table, there in scene.all_rows().items():
        rows = scene.desired(table) if which == "desired" else there
        for key, value, key_text, action in labels.rows(table, rows):
            owner = origins.of(table, key, value).text
            found.setdefault((table, key_text, action), {"table": table, "key": key_text, "action": action, "owner": owner})
    return [found[text] for text in sorted(found)]


def rows_of_dump(path: str) -> list[Item]:
    """Return the rows of a dump (replay --dump, get entries), whose owners are not known. Raises BadFile."""
    from calico_p4.files import BadFile

    found = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        key, arrow, action = line.partition("   # ")[0].rpartition(" -> ")
        if not arrow:
            raise BadFile(f"{path}: line {number}: no row of a dump, which reads TABLE KEY -> ACTION")
        table, _, key = key.partition(" ")
        found.append({"table": table, "key": key, "action": action, "owner": ""})
    return found


def objects_of(scene: Scene) -> dict[str, Any]:
    """Return every object that Felix told of, by name, as data; of an IP set its members."""
    store = scene.store
    named: list[tuple[Object, Any]] = [(endpoint_object(key), value) for key, value in store.endpoints.items()]
    named += [(policy_object(key), value) for key, value in store.policies.items()]
    named += [(profile_object(name), value) for name, value in store.profiles.items()]
    named += [(set_object(name), {"type": int(known.type), "members": sorted(known.members)}) for name, known in store.ip_sets.items()]
    maps = {"HostEndpoint": store.host_endpoints, "Route": store.routes, "VXLANTunnelEndpoint": store.vteps, "Node": store.host_metadata,
            "IPAMPool": store.pools, "Service": store.services, "ServiceAccount": store.service_accounts, "Namespace": store.namespaces}  # fmt: skip
    for kind, known_by in maps.items():
        named += [(Object(kind, key if isinstance(key, str) else "/".join(key)), value) for key, value in known_by.items()]  # type: ignore[attr-defined]
    named.append((Object("Config", ""), dict(store.config)))
    return {str(name).strip(): plain(value) for name, value in sorted(named, key=lambda item: item[0])}


def plain(value: Any) -> Any:
    """Return a value of the wire as JSON has it: messages by field names, what was not sent left out."""
    if hasattr(value, "_asdict"):
        return {name: plain(item) for name, item in value._asdict().items() if item not in ((), None, "", 0, False)}
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


def compare_rows(left: Iterable[Item], right: Iterable[Item]) -> dict[str, list[Item]]:
    """Return ``removed`` (only left), ``added`` (only right) and ``changed`` (same key, another action: ``action`` and ``was``).

    Rows whose text leaves several with one key (of a list shared by chains, say) are compared as whole lines.
    """
    sides = [{(item["table"], item["key"], item["action"]): item for item in side} for side in (left, right)]
    removed, added = ([sides[one][text] for text in sorted(sides[one].keys() - sides[1 - one].keys())] for one in (0, 1))
    by_key = {(item["table"], item["key"]): item for item in removed}
    changed = []
    for item in added:
        old = by_key.pop((item["table"], item["key"]), None)
        if old is not None:
            changed.append(item | {"was": old["action"]})
    keys = {(item["table"], item["key"], item["action"]) for item in changed}
    gone = {(item["table"], item["key"], item["was"]) for item in changed}
    return {
        "removed": [item for item in removed if (item["table"], item["key"], item["action"]) not in gone],
        "added": [item for item in added if (item["table"], item["key"], item["action"]) not in keys],
        "changed": changed,
    }


def compare_objects(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, list[Item]]:
    """Return ``removed``, ``added`` and ``changed`` objects; of the latter what changed, in words."""
    return {
        "removed": [{"object": name} for name in left if name not in right],
        "added": [{"object": name} for name in right if name not in left],
        "changed": [{"object": name, "what": list(_changes(left[name], right[name]))} for name in right if name in left and left[name] != right[name]],
    }


def _changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield the fields that differ; of lists of plain texts what joined and left."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                yield from _changes(old.get(name), new.get(name), f"{path}.{name}" if path else name)
    elif isinstance(old, list) and isinstance(new, list) and all(isinstance(item, str) for item in (*old, *new)):
        if sorted(old) == sorted(new):
            yield f"{path}: other order"
        else:
            yield f"{path}: {' '.join([f'+{item}' for item in new if item not in old] + [f'-{item}' for item in old if item not in new])}"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (one, other) in enumerate(zip(old, new, strict=True)):
            if one != other:
                yield from _changes(one, other, f"{path}[{place}]")
    else:
        yield f"{path}: {_short(old)} -> {_short(new)}"


def _short(value: Any) -> str:
    if isinstance(value, list) and value and not isinstance(value[0], str):
        return f"{len(value)} of them"
    return "none" if value is None else str(value)
