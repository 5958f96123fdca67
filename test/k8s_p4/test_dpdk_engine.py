"""The engine "dpdk" as a target: our P4Runtime server in front, DPDK's SWX library behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Iterator

import grpc
import pytest
from google.rpc import code_pb2

from calico_p4.inspect.capabilities import capabilities
from k8s_p4 import artefacts
from k8s_p4.target import EmbeddedClient, InProcessTarget, Options, pack_device_config, unpack_device_config
from k8s_p4.target.dpdk import build, program
from k8s_p4.target.engines import FEATURES
from test.support.dpdk import need_dpdk
from test.support.judge import small
from test.support.p4target import DELETE, INSERT, MODIFY, Session, meter, rows
from test.support.p4target import session as opened

need_dpdk()

ONE, TWO = 0x0A000001, 0x0A000002
_FULL = unpack_device_config(artefacts.device_config())
CONFIG = pack_device_config(small(_FULL.spec), _FULL.context, _FULL.entries)
"""Our program with small tables where it learns: DPDK writes all of their memory at the start."""


@pytest.fixture
def session() -> Iterator[Session]:
    target = InProcessTarget(Options(engine="dpdk"))
    with opened(target.channel, artefacts.p4info(), CONFIG) as session:
        yield session
    target.stop()


def identity(session: Session, address: int, number: int) -> tuple[int, object]:
    return INSERT, session.entry("src_identity_host_v4", (address,), ("set_identity", number))


def test_packets_rows_and_counters(session: Session) -> None:
    frame, port = session.allow_one()
    injected = session.bench.inject(port, frame)
    assert [out for out, _ in injected.outputs] == [session.bench.ensure_port("cali2")]
    assert injected.metadata["egress_slot"] == 30
    session.write((DELETE, session.entry("local_v4", (TWO,))))
    session.bench.clear_learned()
    assert not session.bench.inject(port, frame).outputs
    session.insert("local_v4", (TWO,), ("to_workload_closed", 2, 4, 102))
    closed = session.bench.inject(port, frame)
    assert (closed.outputs, closed.metadata["reason"]) == ((), 4)
    session.write((MODIFY, session.entry("local_v4", (TWO,), ("to_workload", 2, 2, 102))))
    assert session.bench.inject(port, frame).outputs
    assert rows(session.entries("local_v4")) == rows([session.entry("local_v4", (a,), ("to_workload", n, n, 100 + n)) for n, a in ((1, ONE), (2, TWO))])


def test_what_is_learned_is_listed_and_forgotten(session: Session) -> None:
    frame, port = session.allow_one()
    session.bench.inject(port, frame)
    learned = session.bench.learned()
    assert {entry.table.rpartition(".")[2] for entry in learned} == {"flow_v4"} and len(learned) == 2
    ports = [tuple(value for name, value in entry.key.items() if name.endswith("_port")) for entry in learned]
    assert sorted(ports) == [(80, 40000), (40000, 80)]
    assert all(119 < entry.expires_in_seconds <= 120 for entry in learned), learned
    assert sum(session.bench.learned_counts().values()) == 2
    assert session.bench.forget_learned(learned[:1]) == 1
    assert [entry.key for entry in session.bench.learned()] == [learned[1].key]
    session.bench.set_time(121)
    assert session.bench.learned() == []
    session.bench.inject(port, frame)
    assert session.bench.clear_learned() == 2 and session.bench.learned() == []


def test_a_trace_is_refused(session: Session) -> None:
    frame, port = session.allow_one()
    with pytest.raises(grpc.RpcError, match="DPDK traces no packets"):
        session.bench.inject(port, frame, trace=True)


def test_meters(session: Session) -> None:
    """Packets over the rate of the workload that sends them are dropped, by virtual time; none without a configuration."""
    frame, port = session.allow_one()

    def passed(frames: int) -> int:
        return sum(1 for _ in range(frames) if session.bench.inject(port, frame).outputs)

    assert passed(30) == 30
    session.write(meter(session, 10, 5))
    assert passed(30) == 5
    session.bench.set_time(1)
    session.bench.clear_learned()
    assert passed(30) == 5, "what forgets flows is no time that passes"
    session.bench.set_time(1.25)
    assert passed(30) == 2
    session.write(meter(session, 20, 8))
    assert passed(30) == 8, "full buckets again"
    (held,) = session.read(meter(session, 0, 0)[1])
    assert (held.meter_entry.config.cir, held.meter_entry.config.cburst) == (20, 8)
    none = meter(session, 1, 1)[1]
    none.meter_entry.ClearField("config")
    session.write((MODIFY, none))
    assert passed(30) == 30


def test_a_meter_of_rate_0_is_refused(session: Session) -> None:
    """rte_meter takes none; everything would be green."""
    message = "meter pipeline_egress_rate_egress_packets[1]: DPDK takes no rate or burst of 0"
    assert session.refusals(meter(session, 0, 5)) == [(code_pb2.INVALID_ARGUMENT, message)]


def test_by_the_machine_s_clock() -> None:
    """Nobody's clock but the processor's: what is learned expires in its own time, meters fill by it."""
    target = InProcessTarget(Options(engine="dpdk", real_time=True))
    with opened(target.channel, artefacts.p4info(), CONFIG) as session:
        frame, port = session.allow_one()
        assert session.bench.inject(port, frame).outputs
        before = session.bench.learned()
        assert len(before) == 2 and all(30 < entry.expires_in_seconds <= 120 for entry in before), before
        assert session.bench.clear_learned() == 2 and session.bench.learned() == []
        assert session.bench.restore_learned(before) == 2 and len(session.bench.learned()) == 2
        session.write(meter(session, 1, 5))
        assert 5 <= sum(1 for _ in range(1000) if session.bench.inject(port, frame).outputs) < 1000
        with pytest.raises(grpc.RpcError, match="runs by itself"):
            session.bench.set_time(1)
    target.stop()


def test_learned_entries_are_put_back(session: Session) -> None:
    """As they were, for the time they had left."""
    frame, port = session.allow_one()
    session.bench.inject(port, frame)
    session.bench.set_time(20)
    before = session.bench.learned()
    session.bench.clear_learned()
    assert session.bench.restore_learned(before) == len(before) == 2
    assert {(e.table, *map(str, (e.key, e.action, e.params, e.expires_in_seconds))) for e in session.bench.learned()} == {
        (e.table, *map(str, (e.key, e.action, e.params, e.expires_in_seconds))) for e in before
    }
    assert session.bench.inject(port, frame).outputs
    assert sum(session.bench.learned_counts().values()) == 2, "they were found"


def test_widths_are_checked_before_dpdk_cuts_them(session: Session) -> None:
    wide = session.entry("src_identity_host_v4", (1 << 32,), ("set_identity", 1))
    assert session.refusals((INSERT, wide)) == [(code_pb2.OUT_OF_RANGE, session.refusals((INSERT, wide))[0][1])]
    key = ((1, 0xFFFFFFFF), *[None] * 7)
    ((code, message),) = session.refusals((INSERT, session.entry("egress.rules", (*key, 1 << 29), ("allow", 1))))
    assert code == code_pb2.OUT_OF_RANGE and "priority 536870912" in message


def test_an_entry_that_dpdk_refuses_is_told_and_gone(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, port = session.allow_one()
    library = session_library()
    add = library.engine_add
    bad = {(ONE + 7).to_bytes(4, order) for order in ("little", "big")}
    monkeypatch.setattr(library, "engine_add", lambda *args: -28 if args[2] in bad else add(*args))
    found = session.refusals(*(identity(session, ONE + n, n + 1) for n in (6, 7, 8)))
    assert [code for code, _ in found] == [code_pb2.OK, code_pb2.RESOURCE_EXHAUSTED, code_pb2.OK]
    assert {entry.match[0].exact.value[-1] for entry in session.entries("src_identity_host_v4")} == {7, 9}
    assert session.bench.inject(port, frame).outputs


def session_library() -> object:
    from k8s_p4.target.dpdk import library

    return library.start()


@pytest.mark.parametrize("engine", ["embedded", "dpdk"])
def test_a_switch_that_is_stopped_keeps_no_pipeline(engine: str) -> None:
    """Whoever still knows the switch, as a call does that has not noticed its end, keeps no gigabytes."""
    target = InProcessTarget(Options(engine=engine))
    with opened(target.channel, artefacts.p4info(), CONFIG) as made:
        assert made.bench.ports() == {} and target.device.installed is not None
        machine = weakref.ref(target.device.installed.pipeline.machine)
    target.stop()
    gc.collect()
    assert machine() is None


class Ring:
    """Something that knows itself."""

    itself: object


@pytest.mark.parametrize(("status", "tries"), [(-12, 2), (-19, 2), (-22, 1)])
def test_what_nobody_has_any_more_makes_room(status: int, tries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline in a ring of references holds its memory until the next collection, which may be long in coming."""
    seen: list[bool] = []
    ring = Ring()
    ring.itself, old = ring, weakref.ref(ring)
    del ring

    def attempt(*_: object) -> int:
        seen.append(old() is None)
        if old() is not None:
            raise program._Refused("to build the pipeline", status)
        return 7

    monkeypatch.setattr(program, "_opened", attempt)
    gc.disable()
    try:
        assert program.open_pipeline("p", None, None, Options()) == 7
    except program._Refused as error:
        assert tries == 1 and "(error -22)" in str(error)
    finally:
        gc.enable()
    assert seen == [False, True][:tries]


def test_the_command(tmp_path: object) -> None:
    """As a process of its own, reached over a socket."""
    address = f"unix:{tmp_path}/target.sock"
    command = [sys.executable, "-m", "calico_p4", "target", "--engine", "dpdk", "--real-time", "--listen", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == f"listening on {address}\n"
        channel = grpc.insecure_channel(address)
        with opened(channel, artefacts.p4info(), CONFIG) as session:
            frame, port = session.allow_one()
            assert EmbeddedClient(channel).inject(port, frame).outputs
            with pytest.raises(grpc.RpcError, match="runs by itself"):
                session.bench.set_time(1)
        told = {each["capability"]: each["value"] for each in capabilities(address)}
        channel.close()
        process.terminate()
    assert process.returncode == 0
    assert told["executed by"] == "DPDK's SWX library, 22.11" and told["traces"].startswith("no") and told["clock"] == "the machine's"
    assert str((1 << 29) - 2) in told["priorities"] and FEATURES["dpdk"].items() <= told.items()


def test_without_what_it_needs(tmp_path: object) -> None:
    environment = {**os.environ, build.SOURCE: str(tmp_path)}
    command = [sys.executable, "-m", "calico_p4", "target", "--engine", "dpdk", "--listen", f"unix:{tmp_path}/target.sock"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 1
    assert "no libdpdk: rte_swx_pipeline_internal.h of DPDK 22.11's source package is not in" in result.stderr
    assert "Traceback" not in result.stderr
