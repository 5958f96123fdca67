"""The replay contract's ``--k8s FILE``: Kubernetes objects as JSON lines, read and checked before anything is replayed."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from calico_p4.files import BadFile, load_lines
from datastore.kubernetes import KubernetesStore, ObjectKey, Value
from datastore.kubernetes_objects import ObjectError, read_key, read_object


class Event(NamedTuple):
    """What happens to an object after so many frames; ``value`` None: it is gone, or is of no concern to a proxy."""

    after: int
    key: ObjectKey
    value: Value | None

    def apply(self, store: KubernetesStore) -> None:
        """Tell the store."""
        if self.value is None:
            store.remove(self.key)
        else:
            store.put(self.value)


def load_events(path: str) -> list[Event]:
    """Read a file, in the order in which its events happen. Raises BadFile with line and field."""
    return sorted(_events(path), key=lambda event: event.after)


def last_of(path: str) -> list[str]:
    """Return the lines of a file that tells at once what this one comes to. Raises BadFile as `load_events`."""
    last: dict[ObjectKey, dict[str, Any]] = {}
    for _, line in sorted(load_lines(path, "k8s"), key=lambda item: item[1].get("after", 0)):
        last[read_key(line["object"])] = line
    return [json.dumps({name: value for name, value in line.items() if name != "after"}) for line in last.values() if line["type"] != "DELETED"]


def _events(path: str) -> Iterator[Event]:
    for number, line in load_lines(path, "k8s"):
        item = line["object"]
        try:
            value = None if line["type"] == "DELETED" else read_object(item)
            yield Event(line.get("after", 0), read_key(item), value)
        except ObjectError as error:
            raise BadFile(f"{path}: line {number}: object.{error}") from error
