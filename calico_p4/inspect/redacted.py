"""A bundle with other names and addresses, which may leave the house.

What was said is replaced: the stream, the ports file, Kubernetes' objects, and whose history it is. What follows from that (entries,
numbers, answers) is made anew on a switch of its own, for a name can be in any text of them. So a redacted bundle does not show what was read back.
"""

import io
from collections.abc import Iterable, Mapping
from typing import Any

from calico_p4.driver import Driver
from calico_p4.inspect.bundle import STREAM, contents
from calico_p4.inspect.objects import History, Object, object_of
from calico_p4.inspect.scene import Replayed
from calico_p4.inspect.snapshot import copy_kubernetes, read_kubernetes
from calico_p4.switch import embedded
from calico_p4.tools.redact import Redactor
from calico_p4.tools.redact_objects import kubernetes, ports
from datastore.allocator import Allocator
from datastore.kubernetes import KubernetesStore
from felix_proto.decode import Decoder
from felix_proto.framing import encode_frame, iter_frames
from felix_proto.types import Payload

SOURCE = "redacted"
REMADE = "entries, numbers and answers are made anew from the redacted stream and not read back from the target; packets are not counted, flows not known"


def redacted(members: Mapping[str, Any], key: bytes) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Return the members of a bundle redacted, and which name became which, by category. ``key``: at most 64 bytes, to be kept or forgotten.

    Raises:
        TargetError: a switch does not take the entries.
    """
    said = [frame.payload for frame in iter_frames(io.BytesIO(bytes.fromhex(members[STREAM])))]
    objects = KubernetesStore()
    read_kubernetes(members["services.json"], objects)
    redactor = Redactor(key)
    redactor.collect(said)
    ports(redactor, members["ports.json"])
    kubernetes(redactor, objects)
    redactor.settle()
    before, after = _decoded(said), _decoded(map(redactor.redact, said))
    scene = _scene(after, ports(redactor, members["ports.json"]), kubernetes(redactor, objects), members["manifest.json"])
    try:
        for of, frame in _history(before, after, members["history.json"]):
            scene.history.put(of, frame)
        made = contents(scene)
    finally:
        scene.close()
    made["manifest.json"] |= {"redacted": True, "remade": REMADE}
    return made, redactor.names.table()


def _decoded(payloads: Iterable[bytes]) -> list[Payload]:
    decoder = Decoder()
    return [decoder.decode(frame).payload for frame in iter_frames(io.BytesIO(b"".join(map(encode_frame, payloads))))]


def _history(before: Iterable[Payload], after: Iterable[Payload], known: Iterable[Any]) -> list[tuple[Object, int]]:
    """Return which frame spoke of each object last, for what is there; of what is gone there is nothing to name it by."""
    frames = {Object(kind, name): frame for kind, name, frame in known}
    pairs = ((object_of(old), object_of(new)) for old, new in zip(before, after, strict=True))
    return [(new, frames[old]) for old, new in pairs if old in frames and new is not None]


def _scene(said: Iterable[Payload], extra_ports: list[dict[str, Any]], objects: KubernetesStore, manifest: Mapping[str, Any]) -> Replayed:
    switch = embedded()
    switch.prepare()
    driver = Driver(switch, Allocator(), extra_ports)
    for payload in said:
        driver.apply(payload)
    copy_kubernetes(objects, driver.store.kubernetes)
    driver.rest()
    scene = Replayed(driver, switch, History(), SOURCE, manifest["frames"], manifest["generation"])
    scene.extra_ports = extra_ports
    return scene
