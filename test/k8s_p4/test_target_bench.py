"""The embedded target's own service, and that it is the same switch in one process and over a socket."""

import dataclasses
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from k8s_p4.target import EmbeddedClient, Injected, InProcessTarget, Options, serve
from k8s_p4.target import generate as generator
from k8s_p4.target.server import AddressError
from test.support import mini
from test.support.mini import FULL, open_all, probe
from test.support.p4target import INSERT, Session, rows

PROBE_KEY = {"src": 0x0A000001, "dst": 0x0A000002}


@pytest.fixture
def session() -> Iterator[Session]:
    with mini.running() as made:
        yield made


def test_generated_code_is_up_to_date() -> None:
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed")
    made = generator.generate()
    path = "k8s_p4/target/embedded_pb2.py"
    assert (generator.ROOT / path).read_text(encoding="utf-8") == made[path]


def test_ports_keep_their_numbers(session: Session) -> None:
    numbers = [session.bench.ensure_port(name) for name in ("a", "b", "a", "c")]
    assert numbers == [1, 2, 1, 3] and session.bench.ports() == {"a": 1, "b": 2, "c": 3}
    session.set_pipeline(mini.p4info(), mini.device_config())
    assert session.bench.ports() == {"a": 1, "b": 2, "c": 3}
    with pytest.raises(grpc.RpcError, match="a port needs a name"):
        session.bench.ensure_port("")


def test_a_frame_and_what_became_of_it(session: Session) -> None:
    one, two = open_all(session)
    sent = session.bench.inject(one, probe(payload=b"rest"), trace=True)
    assert sent.outputs == ((two, bytes.fromhex("020000000099") + probe(payload=b"rest")[6:]),)
    assert (sent.dropped, sent.outcome) == (False, "SENT")
    assert {k: sent.metadata[k] for k in ("reason", "slot", "zone")} == {"reason": 0, "slot": 3, "zone": 5}
    assert "pna_main_output_metadata_output_port" not in sent.metadata, "only what the program itself declares"
    assert sent.metadata["the_class_of_this_packet_by_zone_and_destination_prefix"] == 0, "shortened names come back"
    assert [(t.table, t.hit, t.action) for t in sent.trace] == [
        ("Main.init", False, "Main.clear"), ("Main.ports", True, "Main.enter"), ("Main.acl", True, "Main.permit"),
        ("Main.protocols", False, "NoAction"), ("Main.counted", False, "Main.count"), ("Main.flow", False, "Main.flow_miss"),
        ("Main.zoned", False, "NoAction"), ("Main.routes", True, "Main.fwd"),
    ]  # fmt: skip
    assert sent.trace[2].key == {**PROBE_KEY, "proto": 1} and sent.trace[2].params == {"slot": 3} and sent.trace[2].priority == 1
    assert sent.trace[6].key == {"zone": 5, "dst": 0x0A000002}
    assert session.bench.inject(one, probe()).trace == ()


def test_a_drop_inside_an_action_ends_the_packet_at_once(session: Session) -> None:
    one, _ = open_all(session)
    session.insert("acl", ((0x0A000001, FULL), None, None, 5), ("deny", 7))
    sent = session.bench.inject(one, probe(), trace=True)
    assert (sent.outputs, sent.dropped, sent.outcome) == ((), True, "DROPPED")
    assert (sent.metadata["reason"], sent.metadata["slot"]) == (9, 7)
    assert sent.trace[-1].table == "Main.acl"


def test_every_kind_of_match_decides_in_the_data_plane(session: Session) -> None:
    one, two = open_all(session)
    session.insert("acl", (None, None, 6, 9), ("permit", 6))
    session.insert("acl", ((0x0A000001, FULL), None, 6, 10), ("permit", 7))
    session.insert("zoned", (5, (0x0A000000, 8)), ("set_class", 8))
    session.insert("zoned", (5, (0x0A000002, 32)), ("set_class", 32))
    session.insert("zoned", (6, (0x0A000002, 32)), ("set_class", 66))
    session.insert("routes", ((0x0B000000, 8),), ("fwd", one, 1))
    found = session.bench.inject(one, probe(proto=6)).metadata
    assert (found["slot"], found["the_class_of_this_packet_by_zone_and_destination_prefix"]) == (7, 32)
    found = session.bench.inject(one, probe(src=9, dst=0x0A000009, proto=6)).metadata
    assert (found["slot"], found["the_class_of_this_packet_by_zone_and_destination_prefix"]) == (6, 8)
    assert session.bench.inject(one, probe(dst=0x0B000001)).outputs[0][0] == one
    assert session.bench.inject(one, probe(proto=0x63)).metadata["reason"] == 2, "the const entry"
    assert session.bench.inject(two, probe()).metadata["reason"] == 2, "the default of ports: the second is not in it"


def test_default_actions_can_be_changed_under_traffic(session: Session) -> None:
    one, two = open_all(session)
    session.write((3, session.entry("routes", (None,))))
    assert session.bench.inject(one, probe()).metadata["reason"] == 6
    session.write((2, session.entry("routes", (), ("fwd", two, 4), is_default_action=True)))
    assert session.bench.inject(one, probe()).outputs[0][0] == two


@pytest.mark.parametrize(("frame", "outcome"), [(b"", "SHORT_FRAME"), (probe()[:20], "SHORT_FRAME"), (bytes(60), "DROPPED")])
def test_frames_that_do_not_parse(session: Session, frame: bytes, outcome: str) -> None:
    one, _ = open_all(session)
    sent = session.bench.inject(one, frame)
    assert (sent.outputs, sent.dropped, sent.outcome) == ((), True, outcome)


def test_a_port_that_does_not_exist(session: Session) -> None:
    one, _ = open_all(session)
    session.insert("routes", ((0x0A000002, 32),), ("fwd", 99, 1))
    sent = session.bench.inject(one, probe())
    assert (sent.outputs, sent.dropped, sent.outcome) == ((), True, "NO_PORT")
    with pytest.raises(grpc.RpcError, match="no port 99") as caught:
        session.bench.inject(99, probe())
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_time_moves_forward_only(session: Session) -> None:
    one, _ = open_all(session)
    session.bench.set_time(5)
    session.bench.inject(one, probe(), at_seconds=7.5)
    assert session.bench.time() == 7.5
    for call in (lambda: session.bench.set_time(7), lambda: session.bench.inject(one, probe(), at_seconds=7.4)):
        with pytest.raises(grpc.RpcError, match="time can't run backwards"):
            call()
    assert session.bench.time() == 7.5


def seen(session: Session, port: int, at: float, **fields: Any) -> int:
    """The mark a flow was learned with, 0 if it was not known."""
    return session.bench.inject(port, probe(**fields), at_seconds=at).metadata["seen"]


def test_flows_are_learned_and_age_by_virtual_time(session: Session) -> None:
    one, _ = open_all(session)
    assert [seen(session, one, at, proto=0) for at in (0, 9.9, 10, 19.9)] == [0, 3, 0, 3], "10 s, not rearmed"
    (learned,) = session.bench.learned()
    assert (learned.table, learned.key, learned.action) == ("Main.flow", PROBE_KEY, "Main.flow_hit")
    assert learned.params["mark"] == 3 and learned.expires_in_seconds == pytest.approx(0.1)
    assert session.bench.learned_counts() == {"Main.flow": 1}


def test_rearm_forget_and_other_timeouts(session: Session) -> None:
    one, _ = open_all(session)
    times = (0, 9, 18, 27, 28)
    assert [seen(session, one, at, proto=0, flags=1) for at in times] == [0, 3, 3, 3, 3], "flags 1 rearm"
    assert seen(session, one, 29, proto=0, flags=2) == 3, "flags 2 forget"
    assert session.bench.learned_counts() == {"Main.flow": 0}
    assert [seen(session, one, at, proto=0) for at in (30, 31)] == [0, 3]
    assert seen(session, one, 32, proto=2, flags=3) == 3, "flags 3 rearm with the timeout of the packet, 60 s"
    assert seen(session, one, 91, proto=0) == 3
    assert [seen(session, one, at, proto=0, flags=4) for at in (92, 93)] == [0, 0], "flags 4 do not learn"


def test_learned_entries_are_not_p4runtime_s(session: Session) -> None:
    one, _ = open_all(session)
    before = rows(session.entries())
    session.bench.inject(one, probe())
    assert rows(session.entries()) == before and session.entries("flow") == []


def test_learned_entries_can_be_cleared_and_listed_by_table(session: Session) -> None:
    one, _ = open_all(session)
    for source in range(3):
        session.bench.inject(one, probe(src=source))
    assert len(session.bench.learned("Main.flow")) == 3
    assert session.bench.clear_learned("Main.flow") == 3 and session.bench.learned() == []
    with pytest.raises(grpc.RpcError, match="no table 'Main.ports' that learns"):
        session.bench.clear_learned("Main.ports")


def test_single_learned_entries_can_be_forgotten(session: Session) -> None:
    one, _ = open_all(session)
    for source in range(3):
        session.bench.inject(one, probe(src=source))
    first, second, third = session.bench.learned()
    assert session.bench.forget_learned([first, third]) == 2 and session.bench.learned() == [second]
    assert session.bench.forget_learned([first, second]) == 1 and session.bench.learned() == []
    assert session.bench.forget_learned([]) == 0
    with pytest.raises(grpc.RpcError, match="no table 'Main.ports' that learns"):
        session.bench.forget_learned([dataclasses.replace(first, table="Main.ports")])
    name = next(iter(first.key))
    for key, message in (({name: 1}, "the key has the fields"), ({**first.key, name: 1 << 200}, "has more than")):
        with pytest.raises(grpc.RpcError, match=message):
            session.bench.forget_learned([dataclasses.replace(first, key=key)])


def test_a_bucket_s_size_is_an_option() -> None:
    with mini.running(Options(learner_bucket=64)) as session:
        one, _ = open_all(session)
        for source in range(1000):
            session.bench.inject(one, probe(src=source))
        assert session.bench.learned_counts() == {"Main.flow": 1000}
    with mini.running() as session:
        one, _ = open_all(session)
        answers = [session.bench.inject(one, probe(src=source)) for source in range(1000)]
        assert not any(answer.dropped for answer in answers), "a full bucket does not hinder the packet"
        assert session.bench.learned_counts()["Main.flow"] <= 16 * 4


# --- one process or a socket


def story(session: Session) -> list[Any]:
    """What a client sees of a switch: writes, refusals, packets, reads."""
    one, two = open_all(session)
    seen_: list[Any] = [one, two, session.bench.ports()]
    seen_ += [session.bench.inject(one, probe(src=n, payload=bytes((n,)) * n), at_seconds=n * 3, trace=True) for n in range(20)]
    seen_.append(session.bench.inject(two, b"\0" * 10))
    seen_.append(
        session.refusals(
            (INSERT, session.entry("ports", (one,), ("enter", 1))), (INSERT, session.entry("acl", (None, None, None, 0), ("deny", 1)))
        )
    )
    seen_.append([entry.SerializeToString(deterministic=True) for entry in session.entries()])
    seen_ += [session.bench.learned(), session.bench.learned_counts(), session.bench.time()]
    return seen_


def test_in_process_and_over_a_socket_are_the_same(tmp_path: Path) -> None:
    with mini.running() as session:
        expected = story(session)
    for address in (f"unix:{tmp_path}/socket", "127.0.0.1:0"):
        server = serve(address)
        with grpc.insecure_channel(server.address) as channel, mini.over(channel) as session:
            assert story(session) == expected
        server.stop()
    assert any(isinstance(each, Injected) and each.trace for each in expected)


def test_a_socket_is_private_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = serve(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(AddressError, match="somebody is listening"):
        serve(f"unix:{path}")
    server.stop()
    assert not path.exists()


def test_a_dead_socket_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    code = "import sys,socket; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert path.exists()
    serve(f"unix:{path}").stop()


@pytest.mark.parametrize("address", ["nonsense", "host:", ":5", "unix:/nowhere/at/all/socket", "unix:" + "x" * 200, "127.0.0.1:99999"])
def test_addresses_that_can_t_be_served(address: str) -> None:
    with pytest.raises(AddressError):
        serve(address)


def test_a_port_in_use(tmp_path: Path) -> None:
    server = serve("127.0.0.1:0")
    with pytest.raises(AddressError):
        serve(server.address)
    server.stop()


def test_a_channel_of_a_stopped_target_ends_its_streams() -> None:
    target = InProcessTarget()
    session = Session(target.channel)
    session.arbitrate()
    target.stop()
    with pytest.raises(grpc.RpcError) as caught:
        next(session.stream)
    assert caught.value.code() is grpc.StatusCode.CANCELLED


def test_methods_that_do_not_exist() -> None:
    target = InProcessTarget()
    call = target.channel.unary_unary("/nothing/There", request_serializer=bytes, response_deserializer=bytes)
    with pytest.raises(grpc.RpcError) as caught:
        call(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


# --- Linux interfaces


def can_make_interfaces() -> bool:
    made = (
        subprocess.run(["ip", "link", "add", "ctest0", "type", "veth", "peer", "name", "ctest1"], capture_output=True, check=False)
        if _has_ip()
        else None
    )
    return made is not None and made.returncode == 0


def _has_ip() -> bool:
    return any(os.access(f"{folder}/ip", os.X_OK) for folder in os.get_exec_path())


def test_ports_bound_to_interfaces() -> None:
    import socket

    if not can_make_interfaces():
        pytest.skip("no right to make veth interfaces here, or no 'ip' command")
    server = serve("127.0.0.1:0", Options(real_time=True))
    try:
        for name in ("ctest0", "ctest1"):
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        with grpc.insecure_channel(server.address) as channel, mini.over(channel) as session:
            assert session.bench.ensure_port("ctest0", bind=True) == 1
            session.insert("ports", (1,), ("enter", 5))
            session.insert("acl", (None, None, None, 1), ("permit", 3))
            session.insert("routes", (None,), ("fwd", 1, 0x020000000099))
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as wire:
                wire.bind(("ctest1", 0x88B5))
                wire.settimeout(60)
                wire.send(probe(payload=b"over a wire"))
                while True:
                    frame, address = wire.recvfrom(2000)
                    if address[2] != 4:  # not our own
                        break
            assert frame == bytes.fromhex("020000000099") + probe(payload=b"over a wire")[6:]
            with pytest.raises(grpc.RpcError, match="interface nothing"):
                session.bench.ensure_port("nothing", bind=True)
    finally:
        server.stop()
        subprocess.run(["ip", "link", "del", "ctest0"], check=False)


def test_on_virtual_time_no_port_is_bound(session: Session) -> None:
    with pytest.raises(grpc.RpcError, match="virtual time"):
        session.bench.ensure_port("lo", bind=True)


def test_a_client_needs_no_target_in_its_process(tmp_path: Path) -> None:
    server = serve(f"unix:{tmp_path}/socket")
    with grpc.insecure_channel(server.address) as channel:
        assert EmbeddedClient(channel).ensure_port("x") == 1
    server.stop()
