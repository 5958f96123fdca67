"""Keeps the target's meters as the translator wants them. They are no table's entries: only changed, never inserted or deleted.

A target that refuses a meter lets everything through there: it is Degraded, and tried again at rest.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from calico_p4.p4runtime.errors import TargetError, TargetLost
from k8s_p4.schema import METERS
from translator.qos import Config, MeterKey

BATCH = 1000


class Meters:
    """What the target holds, as far as it is known."""

    def __init__(self) -> None:
        self._held: dict[MeterKey, Config] | None = None
        self.refused: dict[MeterKey, str] = {}
        """Meters the target did not take, with what it said."""

    def forget(self, empty: bool) -> None:
        """The target may hold anything now, or (``empty``) nothing."""
        self._held = {} if empty else None

    def push(self, client: Any, wanted: Mapping[MeterKey, Config]) -> None:
        """Write what differs. ``client`` None: a target without meters. Raises TargetLost, and whatever else makes a Write fail as a whole."""
        if client is None:
            self._held = dict(wanted)
            return
        if self._held is None:
            self._held = self._read(client)
        due = [key for key in sorted(self._held.keys() | wanted.keys()) if self._held.get(key) != wanted.get(key)]
        for start in range(0, len(due), BATCH):
            part = due[start : start + BATCH]
            errors = client.write_meters([(METERS[name][0], index, wanted.get((name, index))) for name, index in part])
            for key, error in zip(part, errors, strict=True):
                self._note(key, wanted.get(key), error)
        for key in self.refused.keys() - set(due):
            del self.refused[key]

    def differing(self, wanted: Mapping[MeterKey, Config]) -> Iterator[MeterKey]:
        """Yield the meters that are not as wanted."""
        held = self._held or {}
        yield from (key for key in wanted.keys() | held.keys() if held.get(key) != wanted.get(key))

    def _note(self, key: MeterKey, config: Config | None, error: str | None) -> None:
        assert self._held is not None
        if error is not None:
            self.refused[key] = error
            return
        self.refused.pop(key, None)
        if config is None:
            self._held.pop(key, None)
        else:
            self._held[key] = config

    def _read(self, client: Any) -> dict[MeterKey, Config]:
        """The meters that are set. A target that can't be asked is taken to have none."""
        found: dict[MeterKey, Config] = {}
        for name, (number, _size) in METERS.items():
            try:
                found |= {(name, index): config for index, config in client.read_meters(number).items()}
            except TargetLost:
                raise
            except TargetError:
                continue
        return found
