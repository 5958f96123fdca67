"""A bundle: one file with all that is needed to answer every question elsewhere, a zip archive with these members.

    manifest.json            what it is: version, source, frames, generation
    answers/KIND.json        what ``get KIND`` answered, so that the same is answered again at once
    stream.felixstream       the intent, as the messages of a fresh Felix
    rows.json                the entries read back: {table: [[key, value], ...]}, with the numbers that were on the target
    numbers.json             what the numbers stand for: [[kind, meaning, number], ...]; the ports among them
    services.json            what was known of Kubernetes' objects: {configured, in_sync, objects: [[kind, [field, ...]], ...]}
    ports.json               the ports file of the driver, if there was one
    history.json             which frame spoke of each object last: [[kind, name, frame], ...]
"""

import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from calico_p4.driver import Driver
from calico_p4.files import BadFile
from calico_p4.inspect.listing import KINDS, Filter, listed
from calico_p4.inspect.objects import History, Object
from calico_p4.inspect.scene import Scene, switch_with
from calico_p4.inspect.snapshot import kubernetes_data, payloads_of, read_kubernetes, stream_of
from calico_p4.p4runtime.errors import TargetLost
from calico_p4.ports import KIND as PORT
from calico_p4.switch import Switch
from datastore.allocator import Allocator
from felix_proto.decode import Decoder
from felix_proto.framing import iter_frames

VERSION = 2
STREAM = "stream.felixstream"


def contents(scene: Scene) -> dict[str, Any]:
    """Return the members by name: data for those in JSON, hex for the stream. Raises TargetError."""
    manifest = {"version": VERSION, "source": scene.source, "frames": scene.frames, "generation": scene.generation}
    members: dict[str, Any] = {"manifest.json": manifest}
    for kind in (*KINDS, "entries"):
        members[f"answers/{kind}.json"] = listed(scene, kind, Filter())
    members["rows.json"] = {table: list(rows.items()) for table, rows in scene.all_rows().items() if rows}
    members["numbers.json"] = _numbers(scene)
    members["services.json"] = kubernetes_data(scene.store.kubernetes)
    members["ports.json"] = list(scene.extra_ports)
    members["history.json"] = [[*each, frame] for each, frame in scene.history.items()]
    members[STREAM] = stream_of(payloads_of(scene.store)).hex()
    return members


def _numbers(scene: Scene) -> list[list[Any]]:
    found = [[PORT, port.name, port.number] for port in scene.ports.all()]
    return found + [list(each) for each in scene.driver.numbers() if each[0] != PORT]


def write_bundle(path: str, members: Mapping[str, Any]) -> None:
    """Write a bundle. Raises BadFile."""
    try:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in sorted(members.items()):
                data = bytes.fromhex(content) if name == STREAM else json.dumps(content).encode()
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}") from error


def read_member(path: str, name: str) -> bytes:
    """Return one member. Raises BadFile: no bundle, or it has no such member."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except KeyError:
        raise BadFile(f"{path}: no bundle: it has no {name}") from None
    except (OSError, zipfile.BadZipFile) as error:
        raise BadFile(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def open_bundle(path: str) -> Scene:
    """Return the scene that a bundle was made of: its intent, its numbers, and the entries as they were read back.

    Raises:
        BadFile: it is no bundle; with the member that can't be read.
        TargetError: a switch does not take the entries.
    """
    manifest, rows, numbers, ports, history = (_json(path, f"{name}.json") for name in ("manifest", "rows", "numbers", "ports", "history"))
    if manifest.get("version") != VERSION:
        raise BadFile(f"{path}: manifest.json: a bundle of version {manifest.get('version')}; this program reads {VERSION}")
    port_numbers = {meaning: number for kind, meaning, number in numbers if kind == PORT}
    switch = _Frozen.of(switch_with(port_numbers, {table: {_tuple(key): _tuple(value) for key, value in there} for table, there in rows.items()}))
    driver = Driver(switch, _allocator(numbers), ports)
    for payload in _payloads(path):
        driver.apply(payload)
    try:
        read_kubernetes(_json(path, "services.json"), driver.store.kubernetes)
    except (KeyError, TypeError, ValueError) as error:
        raise BadFile(f"{path}: services.json: {error}") from error
    with suppress(TargetLost):  # what differs from what was wanted is left as it is
        driver.rest()
    known = History()
    for kind, name, frame in history:
        known.put(Object(kind, name), frame)
    scene = Scene(driver, switch, known, f"{path} (of {manifest['source']})", manifest["frames"], manifest["generation"])
    scene.extra_ports = ports
    return scene


class _Frozen(Switch):
    """A switch that holds what it holds."""

    @classmethod
    def of(cls, switch: Switch) -> "_Frozen":
        """Freeze one."""
        frozen = cls(switch.channel, switch.close)
        frozen.client, frozen.bench = switch.client, switch.bench
        return frozen

    def write(self, *_: Any) -> list[str | None]:
        """Refuse."""
        raise TargetLost("a bundle can't be written to")


def _allocator(numbers: list[Any]) -> Allocator:
    allocator = Allocator()
    allocator.adopt((kind, meaning, number) for kind, meaning, number in numbers)
    return allocator


def _payloads(path: str) -> Any:
    import io

    decoder = Decoder()
    return [decoder.decode(frame).payload for frame in iter_frames(io.BytesIO(read_member(path, STREAM)))]


def _json(path: str, name: str) -> Any:
    try:
        return json.loads(read_member(path, name))
    except ValueError as error:
        raise BadFile(f"{path}: {name}: {error}") from error


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value

