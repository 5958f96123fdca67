"""The driver as Felix starts it: a process of its own, frames on fd 3, status on fd 4, a switch behind a socket."""

import signal
import socket
import time
from pathlib import Path
from threading import Event

import pytest

from calico_p4.backoff import JITTER, LAST_S, Backoff
from calico_p4.replay import Options, replay
from calico_p4.status import StatusReporter
from felix_proto import felixbackend_pb2 as pb
from felix_proto.framing import encode_frame
from felix_proto.types import WorkloadEndpoint, WorkloadEndpointID
from k8s_p4.target.device import Device
from test.support.driven import WAIT_S, driver, entries, frames
from test.support.shared import recording_path
from test.support.target import embedded_only, running_target


@pytest.fixture(scope="module")
def expected_entries() -> dict[str, int]:
    return replay(Options(str(recording_path("quickstart.felixstream")))).answer["entries"]


def test_a_snapshot_is_programmed_and_each_endpoint_reported_up_only_then(tmp_path: Path, expected_entries: dict[str, int]):
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        stream = frames("quickstart")
        felix.send(b"".join(stream[:-1]))
        felix.until(lambda: "connected" in felix.log())
        time.sleep(0.3)
        assert felix.statuses() == {} and entries(address) == {}, "nothing before InSync"
        felix.send(stream[-1])
        felix.until(lambda: len(felix.statuses()) == 8)
        assert set(felix.statuses().values()) == {"up"}
        assert entries(address) == expected_entries
        felix.close()
        assert felix.process.wait(WAIT_S) == 0
        assert entries(address) == expected_entries, "the switch is left as it is"


def test_sigterm_ends_it_and_leaves_the_switch_alone(tmp_path: Path, expected_entries: dict[str, int]):
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        felix.send(b"".join(frames("quickstart")))
        felix.until(lambda: len(felix.statuses()) == 8)
        felix.process.send_signal(signal.SIGTERM)
        assert felix.process.wait(WAIT_S) == 0
        assert entries(address) == expected_entries


@embedded_only("a Write is held up inside the target")
def test_sigterm_ends_it_in_the_middle_of_a_slow_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    carried_out, writing, over = Device.write, Event(), Event()

    def slow(self, updates):
        writing.set()
        assert over.wait(2 * WAIT_S), "the driver waits for the end of a Write"
        return carried_out(self, updates)

    monkeypatch.setattr(Device, "write", slow)
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        felix.send(b"".join(frames("quickstart")))
        assert writing.wait(WAIT_S)
        felix.process.send_signal(signal.SIGTERM)
        assert felix.process.wait(WAIT_S) == 0
        over.set()


def test_sigterm_ends_it_while_it_waits_for_a_target_that_takes_the_connection_and_says_nothing(tmp_path: Path):
    """Which it gives up after four seconds. Each try may meet a machine that stands still."""
    assert any(seconds_to_end(tmp_path, f"mute-{number}") < 2.0 for number in range(4))


def seconds_to_end(folder: Path, name: str) -> float:
    """Return how long a driver takes to end that has just connected to nobody."""
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(folder / name))
        mute.listen()
        with driver(folder, f"unix:{folder}/{name}") as felix:
            felix.send(frames("quickstart")[0])
            mute.accept()
            start = time.monotonic()
            felix.process.send_signal(signal.SIGTERM)
            assert felix.process.wait(WAIT_S) == 0
            return time.monotonic() - start


def test_the_next_driver_finds_everything_in_place(tmp_path: Path):
    with running_target(tmp_path) as address:
        for _run in range(2):
            with driver(tmp_path, address) as felix:
                felix.send(b"".join(frames("quickstart")))
                felix.until(lambda felix=felix: len(felix.statuses()) == 8)
                felix.process.send_signal(signal.SIGTERM)
                felix.process.wait(WAIT_S)
                log = felix.log()
    assert "pending=0" in log and "rows=0" not in log


def test_frames_cut_anywhere_and_changes_after_in_sync(tmp_path: Path):
    recording = recording_path("churn.felixstream")
    expected = replay(Options(str(recording), until=1100)).answer["entries"]
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        data = b"".join(frames("churn")[:1100])
        for start in range(0, len(data), 7919):
            felix.send(data[start : start + 7919])
            time.sleep(0.002)
        felix.until(lambda: entries(address) == expected)
        assert "down" not in felix.statuses().values()


def test_a_target_that_comes_late_is_waited_for(tmp_path: Path, expected_entries: dict[str, int]):
    address = f"unix:{tmp_path}/target.sock"
    with driver(tmp_path, address) as felix:
        felix.send(b"".join(frames("quickstart")))
        felix.until(lambda: "target lost" in felix.log())
        assert felix.statuses() == {}
        with running_target(tmp_path):
            felix.until(lambda: len(felix.statuses()) == 8)
            assert entries(address) == expected_entries


def test_a_target_that_starts_over_is_programmed_anew(tmp_path: Path, expected_entries: dict[str, int]):
    with driver(tmp_path, f"unix:{tmp_path}/target.sock") as felix:
        with running_target(tmp_path) as address:
            felix.send(b"".join(frames("quickstart")))
            felix.until(lambda: entries(address) == expected_entries)
        with running_target(tmp_path) as address:
            felix.until(lambda: entries(address) == expected_entries)


def test_garbage_ends_it_with_the_byte_offset(tmp_path: Path):
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        first = frames("quickstart")[0]
        felix.send(first + b"\xff" * 8)
        assert felix.process.wait(WAIT_S) == 1
        assert f"byte {len(first)}" in felix.log()


def test_a_frame_that_can_not_be_decoded_is_named_and_the_rest_works(tmp_path: Path):
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        stream = frames("quickstart")
        felix.send(b"".join([*stream[:3], encode_frame(b"\xff\xff"), *stream[3:]]))
        felix.until(lambda: len(felix.statuses()) == 8)
        assert "frame=3" in felix.log() and f"offset={sum(map(len, stream[:3])) + 8}" in felix.log()


def test_settings_that_can_not_be_used(tmp_path: Path):
    (tmp_path / "ports.json").write_text('[{"name": "x"}]')
    with driver(tmp_path, "embedded", CALICO_P4_PORTS=str(tmp_path / "ports.json")) as felix:
        assert felix.process.wait(WAIT_S) == 1
        assert "ports.json: $[0]" in felix.log()


def test_heartbeats_come_after_ten_seconds_and_then_every_thirty():
    reporter = StatusReporter(now_s=100.0)
    assert reporter.heartbeat(109.9) is None
    beat = pb.FromDataplane.FromString(reporter.heartbeat(110.0)[8:])
    assert beat.process_status_update.uptime == 10.0
    assert beat.process_status_update.iso_timestamp.endswith("Z")
    assert reporter.heartbeat(139.9) is None and reporter.heartbeat(140.0) is not None


def test_a_status_is_told_when_it_changes_and_only_then():
    key = WorkloadEndpointID("k8s", "shop/web", "eth0")
    up, down = WorkloadEndpoint(key, "active"), WorkloadEndpoint(key, "inactive")
    reporter = StatusReporter(0.0)

    def told(endpoints: dict, changed: set, broken: set = frozenset()) -> list[str]:
        messages = [pb.FromDataplane.FromString(frame[8:]) for frame in reporter.endpoints(endpoints, changed, broken)]
        return [m.workload_endpoint_status_update.status.status or m.WhichOneof("payload") for m in messages]

    assert told({key: up}, {key}) == ["up"]
    assert told({key: up}, {key}) == []
    assert told({key: up}, set(), {key}) == ["error"]
    assert told({key: up}, set(), {key}) == []
    assert told({key: up}, set()) == ["up"]
    assert told({key: down}, {key}) == ["down"]
    assert told({}, {key}) == ["workload_endpoint_status_remove"]
    assert told({}, {key}) == []


def test_a_host_endpoint_is_up_or_in_error_and_told_when_that_changes():
    reporter = StatusReporter(0.0)

    def told(endpoints: set, broken: set = frozenset()) -> list[tuple[str, str]]:
        messages = [pb.FromDataplane.FromString(frame[8:]) for frame in reporter.host_endpoints(endpoints, broken)]
        updates = [m.host_endpoint_status_update for m in messages if m.HasField("host_endpoint_status_update")]
        gone = [(m.host_endpoint_status_remove.id.endpoint_id, "gone") for m in messages if m.HasField("host_endpoint_status_remove")]
        return [*gone, *((update.id.endpoint_id, update.status.status) for update in updates)]

    assert told({"a", "b"}, {"b"}) == [("a", "up"), ("b", "error")]
    assert told({"a", "b"}, {"b"}) == []
    assert told({"a", "b"}) == [("b", "up")]
    assert told({"b"}) == [("a", "gone")]
    assert told({"b"}) == []


def test_felix_is_told_which_host_endpoints_have_an_interface(tmp_path: Path):
    with running_target(tmp_path) as address, driver(tmp_path, address) as felix:
        felix.send(b"".join(frames("hostendpoints")))
        felix.until(lambda: len(felix.host_statuses()) == 3)
        assert felix.host_statuses() == {"node-a-auto-hep": "up", "node-a-eth0": "up", "node-a-mgmt": "error"}


def test_tries_become_rarer_and_start_over():
    backoff = Backoff()
    waits = [backoff.next(0.0) for _ in range(8)]
    for wait, nominal in zip(waits, (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LAST_S, LAST_S), strict=True):
        assert abs(wait - nominal) <= JITTER * nominal
    backoff.reset()
    assert 10.5 * (1 - JITTER) < backoff.next(10.0) < 10.7
    assert len({Backoff().next(0.0) for _ in range(5)}) > 1, "drivers that lost one target don't come back in step"
