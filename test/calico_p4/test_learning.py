"""Learning in the driver's place: what packets ask for, what is written, and what becomes of the packet."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from calico_p4.inspect.capabilities import _of_p4info
from calico_p4.kept import Kept
from calico_p4.learning import Learning, Refused, needed
from calico_p4.p4runtime.errors import TargetError
from calico_p4.told import KEEP, LEAVE, seconds, wishes
from k8s_p4 import artefacts
from k8s_p4.p4rt import p4r

INFO = artefacts.p4info(artefacts.V1MODEL)
FIELDS = {each.name: each for header in INFO.controller_packet_metadata if header.preamble.name == "packet_in" for each in header.metadata}
CLIENT, VIP, SERVER, NODE = 0x0A000001, 0x0A600001, 0x0A000002, 0xC0000201
PATIENCE_S = 60.0


def told(**fields: int) -> dict[str, int]:
    """The header of the first packet of a TCP flow from a client, masqueraded, to a service."""
    first = {"ingress_port": 3, "ip_version": 4, "tracked": 1, "timeout": 3, "timeout_forth": LEAVE, "timeout_back": LEAVE, "timeout_slot": LEAVE,
             "protocol": 6, "answer_protocol": 6, "src_port": 40000, "dst_port": 80, "new_src_port": 50001, "new_dst_port": 8080, "src_incarnation": 101,
             "dst_incarnation": 0, "end_incarnation": 102, "answer_incarnation": 0, "owner_incarnation": 101, "src": CLIENT, "dst": VIP, "new_src": NODE, "new_dst": SERVER}  # fmt: skip
    return dict.fromkeys(FIELDS, 0) | first | fields


FULL, THERE = "UNKNOWN: Error when adding match entry to target", "ALREADY_EXISTS: Match entry exists"


class Target:
    """A client of a target that holds entries; `refuse` makes the next Write fail, `room` is for how many entries there is."""

    def __init__(self) -> None:
        self.packet_in: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.out: queue.SimpleQueue[tuple[bytes, dict[int, bytes]]] = queue.SimpleQueue()
        self.entries: dict[bytes, Any] = {}
        self.writes: list[tuple[int, int]] = []
        self.refuse = False
        self.room = 1000
        self.idle_s: float | None = None
        """For how long nothing has hit any entry; None: it does not tell."""

    def read_tables(self, ids: Iterable[int]) -> Iterator[Any]:
        yield from (entry for entry in self.entries.values() if entry.table_id in set(ids))

    def read_entries(self, asked: Iterable[Any]) -> Iterator[Any]:
        for each in asked:
            for entry in (entry for entry in self.entries.values() if (entry.table_id, entry.match) == (each.table_id, each.match)):
                read = p4r.TableEntry.FromString(entry.SerializeToString())
                if self.idle_s is not None and each.HasField("time_since_last_hit"):
                    read.time_since_last_hit.elapsed_ns = int(self.idle_s * 10**9)
                yield read

    def write_entities(self, kind: int, entries: Iterable[Any]) -> list[str | None]:
        entries = list(entries)
        if self.refuse and entries:
            raise TargetError("no room")
        self.writes += [(kind, len(entries))] if entries else []
        return [self._write(kind, entry) for entry in entries]

    def _write(self, kind: int, entry: Any) -> str | None:
        key = p4r.TableEntry(table_id=entry.table_id, match=entry.match).SerializeToString(deterministic=True)
        if (key in self.entries) == (kind == p4r.Update.INSERT):
            return THERE if key in self.entries else "NOT_FOUND: Cannot find match entry"
        if kind == p4r.Update.INSERT and len(self.entries) == self.room:
            return FULL
        if kind == p4r.Update.DELETE:
            del self.entries[key]
        else:
            self.entries[key] = entry
        return None

    def packet_out(self, payload: bytes, metadata: Mapping[int, bytes]) -> None:
        self.out.put((payload, dict(metadata)))


@pytest.fixture(name="target")
def _target() -> Target:
    return Target()


@pytest.fixture(name="learning")
def _learning(target: Target) -> Learning:
    return Learning(target, INFO)  # type: ignore[arg-type]


def entry(learning: Learning, table: str, **part: int) -> Any:
    """The one entry of a table whose key or parameters have these values."""
    names = {alias: [field.name for field in t.match_fields] for alias, t in ((t.preamble.alias, t) for t in INFO.tables)}
    found = [each for key, each in learning.entries().items() if key[0] == table and part.items() <= dict(zip(names[table], key[1], strict=True)).items()]
    (one,) = found
    return one


def test_it_is_asked_for_by_the_p4info() -> None:
    assert needed(INFO) and not needed(artefacts.p4info())


def test_capabilities_say_who_learns() -> None:
    with_driver, without = (_of_p4info(artefacts.p4info(main)) for main in (artefacts.V1MODEL, artefacts.MAIN))
    assert (with_driver["who learns"].partition(":")[0], without["who learns"]) == ("the driver", "the switch")
    assert "any look-up prolongs" in with_driver["expiry of what was learned"] and with_driver["hash of flows"] == "CRC-32 of Ethernet"
    assert "expiry of what was learned" not in without, "the target tells"


def test_a_first_packet_gets_both_halves(learning: Learning) -> None:
    learning.learn(told())
    forth, back = entry(learning, "flow_v4", src=CLIENT), entry(learning, "flow_v4", src=SERVER)
    assert forth == ("forth_v4", {"src_port": 50001, "dst_port": 8080, "incarnation": 102, "egress_slot": 0, "ingress_slot": 0, "src": NODE, "dst": SERVER}, 3)
    assert back == ("back_v4", {"src_port": 80, "dst_port": 40000, "incarnation": 101, "egress_slot": 0, "ingress_slot": 0, "src": VIP, "dst": CLIENT}, 3)
    assert {key[1][:5] for key in learning.entries()} == {(101, 0, 40000, 80, 6), (102, 0, 8080, 50001, 6)}


def test_halves_of_ipv6_have_their_addresses_twice(learning: Learning) -> None:
    high, low = 0x20010DB8 << 32, 7
    learning.learn(told(ip_version=6, src=1, dst=2, new_src=high << 64 | low, new_dst=3))
    params = entry(learning, "flow_v6", src=1).params
    assert (params["src_high"], params["src_low"], params["dst_high"], params["dst_low"]) == (high, low, 0, 3)


def test_a_second_packet_on_its_way_changes_nothing(learning: Learning, target: Target) -> None:
    learning.learn(told(egress_slot=4, beginning=9))
    before = list(target.writes)
    learning.learn(told(egress_slot=4, beginning=9))
    assert target.writes == before


def test_an_answer_prolongs_both_halves_and_learns_none(learning: Learning) -> None:
    answer = told(established=1, answers=1, timeout_forth=5, timeout_back=5, src=SERVER, dst=NODE, new_src=VIP, new_dst=CLIENT, src_port=8080, dst_port=50001,
                  new_src_port=80, new_dst_port=40000, src_incarnation=102, end_incarnation=101, owner_incarnation=102)  # fmt: skip
    learning.learn(answer)
    assert not learning.entries()
    learning.learn(told())
    learning.learn(answer)
    assert {each.timeout for each in learning.entries().values()} == {5} and len(learning.entries()) == 2


def test_fin_closes_both_and_a_new_syn_lets_them_go_soon(learning: Learning) -> None:
    learning.learn(told())
    learning.learn(told(established=1, close=1, timeout_closing=2, timeout_forth=3, timeout_back=3))
    assert [each.timeout for key, each in learning.entries().items() if key[0] == "closing_v4"] == [2, 2]
    learning.learn(told(opens=1, close=2, timeout_closing=0, timeout_forth=3, timeout_back=3))
    assert [each.timeout for key, each in learning.entries().items() if key[0] == "closing_v4"] == [0, 0]


def test_a_stale_half_is_replaced(learning: Learning) -> None:
    learning.learn(told())
    learning.learn(told(stale=1, timeout_forth=0, timeout_back=0, new_dst=SERVER + 7, end_incarnation=107))
    assert entry(learning, "flow_v4", src=CLIENT).params["dst"] == SERVER + 7
    assert entry(learning, "flow_v4", src=CLIENT).timeout == 3


def test_a_port_that_another_flow_took_meanwhile_is_refused(learning: Learning) -> None:
    learning.learn(told())
    with pytest.raises(Refused):
        learning.learn(told(src=CLIENT + 5))
    assert len(learning.entries()) == 2


def test_a_slot_that_another_flow_took_meanwhile_is_refused(learning: Learning) -> None:
    learning.learn(told(egress_slot=4, beginning=9, ingress_slot=2, accepting=8))
    assert {key[1] for key in learning.entries() if key[0] == "connection_slot"} == {(18, 3), (17, 1)}
    with pytest.raises(Refused):
        learning.learn(told(egress_slot=4, beginning=9, src_port=40001, new_src_port=50002))
    assert not any(40001 in key[1] for key in learning.entries())


def test_a_slot_is_free_when_nothing_of_its_flow_is_left(learning: Learning) -> None:
    learning.learn(told(egress_slot=4, beginning=9))
    learning.learn(told(egress_slot=5, beginning=9, src_port=40001, new_src_port=50002))
    first = [key for key in learning.entries() if key[0] == "flow_v4" and {40000, 50001} & {*key[1]}]
    assert learning.forget(first[:1]) == 1 and {key[1] for key in learning.entries() if key[0] == "connection_slot"} == {(18, 3), (18, 4)}
    learning.forget(first[1:])
    assert {key[1] for key in learning.entries() if key[0] == "connection_slot"} == {(18, 4)}
    learning.learn(told(egress_slot=4, beginning=9, src_port=40002, new_src_port=50003))
    assert {key[1] for key in learning.entries() if key[0] == "connection_slot"} == {(18, 3), (18, 4)}
    assert learning.forget() and not learning.entries() and not learning._slots and not learning._holders, "kept for ever"


def test_policy_that_accepts_a_flow_is_noted_by_its_epoch(learning: Learning) -> None:
    learning.learn(told(epoch=7, timeout_judged=3))
    first = {key for key in learning.entries() if key[0] == "judged_v4"}
    assert len(first) == 2 and all(7 in key[1] for key in first)
    learning.learn(told(epoch=8, rejudged=1, timeout_judged=0, timeout_forth=5, timeout_back=5))
    again = {key: each for key, each in learning.entries().items() if key[0] == "judged_v4" and key not in first}
    assert len(again) == 2 and all(8 in key[1] and each.timeout == 5 for key, each in again.items())
    learning.learn(told(epoch=9, rejudged=1, answers=1))
    assert len([key for key in learning.entries() if key[0] == "judged_v4"]) == 4


def test_affinity_moves_at_once(learning: Learning) -> None:
    learning.learn(told(remember=1, group=12, timeout_affinity=6))
    assert entry(learning, "affinity_v4", group=12).params == {"port": 8080, "address": SERVER}
    learning.learn(told(src_port=40001, new_src_port=50003, remember=1, group=12, timeout_affinity=6, new_dst=SERVER + 1))
    assert entry(learning, "affinity_v4", group=12, client=CLIENT).params["address"] == SERVER + 1


def test_timeouts_are_those_of_the_program(learning: Learning, target: Target) -> None:
    learning.learn(told(remember=1, group=12, timeout_affinity=6))
    found = {INFO_NAMES[each.table_id]: each.idle_timeout_ns // 10**9 for each in target.entries.values()}
    assert found == {"flow_v4": 120, "affinity_v4": 10800}
    assert (seconds("flow_v6", 5), seconds("affinity_v6", 7)) == (43200, 86400)


def test_what_is_kept_is_told_as_an_embedded_target_tells_it(learning: Learning) -> None:
    kept = Kept(learning)
    learning.learn(told(remember=1, group=12, timeout_affinity=6))
    name = "MainControl.pipeline.flow.flow_v4"
    forth, back = sorted(kept.learned(name), key=lambda each: each.action, reverse=True)
    assert (forth.action, forth.expires_in_seconds) == ("MainControl.pipeline.flow.forth_v4", 120)
    assert forth.key == {"src_incarnation": 101, "dst_incarnation": 0, "src_port": 40000, "dst_port": 80, "protocol": 6, "src": CLIENT, "dst": VIP}
    assert (forth.params["dst"], back.key["src"], back.params["src"]) == (SERVER, SERVER, VIP)
    assert kept.learned_counts()[name] == 2 and sum(kept.learned_counts().values()) == len(kept.learned()) == 3
    assert kept.forget_learned([forth, forth, back, back]) == 2
    assert [each.table for each in kept.learned()] == ["MainControl.pipeline.nat.affinity_v4"]
    assert (kept.clear_learned(name), kept.clear_learned(), kept.learned()) == (0, 1, [])


INFO_NAMES = {table.preamble.id: table.preamble.alias for table in INFO.tables}


@pytest.mark.parametrize("timeout", [KEEP, LEAVE])
def test_no_timeout_is_no_wish(timeout: int) -> None:
    assert not list(wishes(told(established=1, answers=1, timeout_forth=timeout, timeout_back=timeout)))


def packet(**fields: int) -> Any:
    values = told(**fields)
    made = p4r.PacketIn(payload=b"frame")
    for name, each in FIELDS.items():
        made.metadata.add(metadata_id=each.id, value=values[name].to_bytes(16))
    return made


def test_the_packet_goes_back_when_its_entries_are_there(learning: Learning, target: Target) -> None:
    learning.start()
    target.packet_in.put(packet())
    payload, metadata = target.out.get(timeout=PATIENCE_S)
    assert (payload, metadata) == (b"frame", {1: b"\x03"}) and len(target.entries) == 2
    learning.close()


def test_what_is_refused_does_not_go_back(learning: Learning, target: Target) -> None:
    learning.start()
    target.refuse = True
    target.packet_in.put(packet())
    target.packet_in.put(packet(tracked=0, ingress_port=9))
    assert target.out.get(timeout=PATIENCE_S)[1] == {1: b"\x09"}
    assert learning.dropped == 1 and not learning.entries()
    learning.close()


@pytest.mark.parametrize("room", [0, 1])
def test_where_there_is_no_room_the_packet_goes_back_and_what_was_taken_is_known(learning: Learning, target: Target, room: int) -> None:
    target.room = room
    learning.start()
    target.packet_in.put(packet())
    assert target.out.get(timeout=PATIENCE_S)[0] == b"frame"
    assert (learning.refused, learning.dropped, learning.learned) == (2 - room, 0, room) and len(learning.entries()) == len(target.entries) == room
    target.room = 1000
    target.packet_in.put(packet())
    target.out.get(timeout=PATIENCE_S)
    assert len(learning.entries()) == len(target.entries) == 2
    learning.close()


def test_entries_that_are_there_unexpectedly_or_gone_are_known_by_the_next_packet(learning: Learning, target: Target) -> None:
    learning.start()
    learning.learn(told())
    other = Learning(target, INFO)  # type: ignore[arg-type]
    with pytest.raises(TargetError, match="ALREADY_EXISTS"):
        other.learn(told())
    assert other.entries() == learning.entries()
    other.forget()
    with pytest.raises(TargetError, match="NOT_FOUND"):
        learning.learn(told(established=1, timeout_forth=5, timeout_back=5))
    assert not learning.entries()
    learning.learn(told())
    assert len(learning.entries()) == len(target.entries) == 2
    learning.close()


def test_an_entry_is_written_once(learning: Learning, target: Target) -> None:
    learning.learn(told())
    assert target.writes == [(p4r.Update.INSERT, 2)]
    learning.learn(told(established=1, timeout_forth=5, timeout_back=5))
    assert target.writes[1:] == [(p4r.Update.MODIFY, 2)]


def test_what_expired_is_deleted(learning: Learning, target: Target) -> None:
    learning.start()
    target.packet_in.put(packet())
    target.out.get(timeout=PATIENCE_S)
    target.packet_in.put(p4r.IdleTimeoutNotification(table_entry=list(target.entries.values())[:1]))
    target.packet_in.put(packet(tracked=0))
    target.out.get(timeout=PATIENCE_S)
    assert len(target.entries) == len(learning.entries()) == learning.expired.total() == 1
    learning.close()


def expire(learning: Learning, target: Target, *entries: Any) -> None:
    """Have the target tell that these ran out, and wait until that was heard."""
    target.packet_in.put(p4r.IdleTimeoutNotification(table_entry=entries))
    target.packet_in.put(packet(tracked=0))
    target.out.get(timeout=PATIENCE_S)


def test_what_is_told_twice_is_deleted_once(learning: Learning, target: Target) -> None:
    learning.learn(told())
    learning.start()
    first = next(iter(target.entries.values()))
    expire(learning, target, first, first)
    expire(learning, target, first)
    assert target.writes[-1] == (p4r.Update.DELETE, 1) and len(target.entries) == learning.expired.total() == 1
    learning.close()


@pytest.mark.parametrize("idle_s, left", [(119.9, 2), (120, 0), (None, 0)])
def test_what_was_hit_since_it_was_told_of_stays(learning: Learning, target: Target, idle_s: float | None, left: int) -> None:
    learning.learn(told())
    learning.start()
    target.idle_s = idle_s
    expire(learning, target, *target.entries.values())
    assert len(target.entries) == len(learning.entries()) == left
    learning.close()


def test_a_new_driver_finds_the_flows_of_the_one_before(learning: Learning, target: Target) -> None:
    learning.learn(told(egress_slot=4, beginning=9))
    again = Learning(target, INFO)  # type: ignore[arg-type]
    again.start()
    assert again.entries() == learning.entries()
    assert again.forget() == 3 and not target.entries
    again.close()
