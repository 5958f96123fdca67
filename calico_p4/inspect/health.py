"""Checks: is everything as it should be, here and now; each with what was found."""

from collections.abc import Iterator
from typing import Any

from calico_p4.inspect.matching import Disagreement
from calico_p4.inspect.scene import Scene
from calico_p4.p4runtime.errors import TargetError
from k8s_p4.rows import TABLES

FULL = 0.9
"""A table is told of when this much of it is used."""
Check = dict[str, Any]


def checks(scene: Scene) -> list[Check]:
    """Return the checks of a state: ``check``, ``ok``, ``detail``."""
    return [{"check": name, "ok": ok, "detail": detail} for name, ok, detail in _all(scene)]


def _all(scene: Scene) -> Iterator[tuple[str, bool, str]]:
    driver = scene.driver
    yield "stream", scene.frames > 0, f"{scene.frames} frames of Felix {scene.generation or 'of no known release'}"
    yield "in sync", scene.store.in_sync, "InSync was seen" if scene.store.in_sync else "no InSync yet: nothing is programmed before it"
    pending, errors = driver.tracker.pending_count(), driver.tracker.errors()
    first = next(iter(f"{table} {key}: {text}" for (table, key), text in errors.items()), "")
    yield "converged", not pending, f"{pending} rows to write" + (f"; {len(errors)} refused, first {first}" if errors else "")
    degraded = driver.degraded()
    closed = [entry for entry in degraded if entry.effect != "partial"]
    yield "nothing closed", not closed, f"{len(closed)} closed or pending{f', first {closed[0].object}: {closed[0].reason}' if closed else ''}"
    yield "complete", not degraded, f"{len(degraded)} objects are Degraded{', see get degraded' if degraded else ''}"
    yield from _target(scene)


def _target(scene: Scene) -> Iterator[tuple[str, bool, str]]:
    if scene.switch is None:
        yield "target", False, "lost; what follows is as last known"
    try:
        rows = scene.all_rows()
    except (TargetError, Disagreement) as error:
        yield "target", False, str(error)
        return
    yield "entries", True, f"{sum(map(len, rows.values()))} entries in {len(rows)} tables"
    differs = sum(1 for table, there in rows.items() for key in there.keys() ^ scene.desired(table).keys())
    differs += sum(1 for table, there in rows.items() for key, value in there.items() if scene.desired(table).get(key, value) != value)
    yield "as wanted", not differs, f"{differs} entries differ from what is wanted{', see diff desired actual' if differs else ''}"
    full = [f"{table} {len(there)} of {TABLES[table].size}" for table, there in rows.items() if len(there) > FULL * TABLES[table].size]
    yield "room", not full, ", ".join(full) or f"no table is more than {FULL:.0%} full"
