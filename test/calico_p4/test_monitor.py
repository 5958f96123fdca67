"""Monitoring: packets through the switch of a running driver are told, with what decided, in the words of a replay."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from click.testing import CliRunner

from calico_p4.admin.client import AdminClient
from calico_p4.admin.server import MOST_WATCHERS, AdminServer
from calico_p4.bench import Bench
from calico_p4.cli import main
from calico_p4.cli.monitor import text
from calico_p4.files import BadFile
from calico_p4.inspect.suggest import Unknown
from calico_p4.live import Live
from calico_p4.p4runtime.errors import TargetError
from calico_p4.packets import Packet, load_packets, plan
from calico_p4.switch import Switch, open_switch
from datastore.allocator import Allocator
from felix_proto import felixbackend_pb2 as pb
from felix_proto.framing import encode_frame
from k8s_p4.target import EmbeddedClient, InProcessTarget, serve
from test.calico_p4.test_admin import settled
from test.support.driven import WAIT_S
from test.support.felix_messages import envelope
from test.support.shared import recording_path
from test.support.target import connected, running_embedded

QUICKSTART = recording_path("quickstart.felixstream")
PACKETS = QUICKSTART.with_name("quickstart.packets.json")


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must happen."""
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Running:
    """A driver that has had all of the quickstart recording, its stream still open; packets can be sent through its switch."""

    def __init__(self, live: Live, address: str, bench: EmbeddedClient, to_driver: int) -> None:
        self._to_driver = to_driver
        self.live, self.address, self.client, self.bench = live, address, AdminClient(address), bench
        self._sender = Bench(live.driver, bench)

    def send(self) -> list[dict[str, Any]]:
        """Send the packets of the recording; returns the answers of the replay contract."""
        return [self._sender.send(packet._replace(at=self.bench.time())) for packet in load_packets(str(PACKETS))]

    def send_one(self, packet: Packet) -> None:
        self._sender.send(packet._replace(at=self.bench.time()))

    def feed(self, message: Any) -> None:
        """Let Felix say something, and wait until the driver has heard it."""
        before = self.live.driver.store.endpoints.copy()
        os.write(self._to_driver, encode_frame(envelope(message).SerializeToString()))
        until(lambda: self.live.driver.store.endpoints != before)

    @contextmanager
    def watch(self, **arguments: Any) -> Iterator[Iterator[Any]]:
        """Watch; what is sent in the body is seen."""
        with closing(self.client.watch(arguments)) as lines:
            assert next(lines) is None
            yield lines


@contextmanager
def running(folder: Path, target: str, **options: Any) -> Iterator[Running]:
    reading, writing = os.pipe()
    live = Live(target, Allocator(), [], lambda frame: None, **options)
    runner = threading.Thread(target=live.run, args=(os.fdopen(reading, "rb", buffering=0),), daemon=True)
    runner.start()
    os.write(writing, QUICKSTART.read_bytes())
    server = AdminServer(f"unix:{folder / 'admin.sock'}", live.ask, live.watch)
    address = f"unix:{folder / 'admin.sock'}"
    settled(AdminClient(address))
    other = connected(target)
    yield Running(live, address, EmbeddedClient(other.channel), writing)
    server.stop()
    os.close(writing)
    runner.join(timeout=WAIT_S)
    other.close()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("monitor")
    with running_embedded(folder) as target, running(folder, target) as made:
        yield made


def took(lines: Iterator[Any], number: int) -> list[Any]:
    """The next lines: fails where they do not come."""
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.extend(next(lines) for _ in range(number)), daemon=True)
    reader.start()
    reader.join(WAIT_S)
    assert len(found) == number, found
    return found


def test_each_packet_is_told_as_a_replay_answers(driver: Running):
    with driver.watch() as lines:
        answers = [answer for answer in driver.send() if answer["verdict"] != "error"]
        told = took(lines, len(answers))
    assert [[line[name] for name in ("verdict", "reason", "policy", "tunnel")] for line in told] == [
        [answer[name] for name in ("verdict", "reason", "policy", "tunnel")] for answer in answers
    ]
    assert [line["to"] for line in told if line["verdict"] == "allow"] == [answer["out"] for answer in answers if answer["out"]]
    assert {line["verdict"] for line in told} == {"allow", "deny"} and any(line["policy"] for line in told)


def test_only_drops(driver: Running):
    with driver.watch(dropped_only=True) as lines:
        drops = [answer for answer in driver.send() if answer["verdict"] == "deny" and "answer" not in answer]
        told = took(lines, len(drops))
    assert [line["reason"] for line in told] == [answer["reason"] for answer in drops] and len(drops) > 2


def test_only_one_pod(driver: Running):
    name = "workload:shop/frontend-1"
    with driver.watch() as everything, driver.watch(pod="shop/frontend-1") as lines:
        sent = [answer for answer in driver.send() if answer["verdict"] != "error"]
        concerned = [line for line in took(everything, len(sent)) if name in (line["from"], line["to"])]
        told = took(lines, len(concerned))
    assert [line["sent"] for line in told] == [line["sent"] for line in concerned] and 0 < len(told) < len(sent)


def test_mistakes(driver: Running):
    with pytest.raises(Unknown, match="did you mean shop/frontend-2 or shop/frontend-1"):
        next(driver.client.watch({"pod": "shop/frontend-9"}))
    with pytest.raises(BadFile, match="no argument colour"):
        next(driver.client.watch({"colour": "red"}))
    with pytest.raises(TargetError, match="at most 65536"):
        next(driver.client.watch({"queue": 70000}))
    result = CliRunner().invoke(main, ["monitor", driver.address, "--pod", "shop/frontend-9"])
    assert (result.exit_code, result.stdout) == (1, "") and "did you mean" in result.stderr
    assert CliRunner().invoke(main, ["monitor", str(QUICKSTART)]).exit_code == 2


def test_a_watcher_too_many_is_told_and_a_place_becomes_free(tmp_path: Path):
    with running_embedded(tmp_path) as target, running(tmp_path, target) as made:
        watchers = [made.client.watch({}) for _ in range(MOST_WATCHERS)]
        assert [next(lines) for lines in watchers] == [None] * MOST_WATCHERS
        with pytest.raises(TargetError, match="watch already"):
            next(made.client.watch({}))
        assert made.client.ask("check", {}), "questions are answered meanwhile"
        for lines in watchers:
            lines.close()
        until(lambda: _free(made))


def _free(made: Running) -> bool:
    try:
        with made.watch():
            return True
    except TargetError:
        return False


def test_the_command(driver: Running):
    stop = threading.Event()

    def sending() -> None:
        while not stop.wait(0.2):
            driver.send()

    sender = threading.Thread(target=sending)
    sender.start()
    try:
        shown = CliRunner().invoke(main, ["monitor", driver.address, "--dropped-only", "--count", "3"])
        data = CliRunner().invoke(main, ["monitor", driver.address, "--count", "2", "-o", "json"])
    finally:
        stop.set()
        sender.join()
    assert (shown.exit_code, shown.stderr) == (0, "calico-p4: watching\n")
    assert len(shown.stdout.splitlines()) == 3 and all("  DENY   " in line for line in shown.stdout.splitlines())
    assert [set(json.loads(line)) for line in data.stdout.splitlines()] == 2 * [
        {"time", "seconds", "from", "to", "sent", "verdict", "reason", "rejected", "policy", "tunnel"}
    ]


def test_a_line_names_packet_ends_and_who_decided(driver: Running):
    with driver.watch(dropped_only=True, pod="shop/frontend-1") as lines:
        driver.send()
        line = next(line for line in lines if line["reason"] == "default_deny")
    assert " DENY   default_deny  tcp 10.244.10.11 -> " in text(line) and "egress deny by the end of tier default" in text(line)
    assert text({"lost": 7}) == "-- 7 packets lost here: they came faster than they could be told"


def test_what_does_not_fit_is_counted_where_it_is_missing():
    target = InProcessTarget()
    switch = Switch(target.channel, target.stop)
    switch.prepare()
    bench = EmbeddedClient(target.channel)
    port = bench.ensure_port("a")
    watching = bench.watch(queue=5)
    for _ in range(300):
        bench.inject(port, bytes(60))
    told, items = 0, iter(watching)
    found = []
    while told < 300:
        found.append(next(items))
        told += found[-1] if isinstance(found[-1], int) else 1
    assert told == 300 and any(isinstance(item, int) for item in found), "each is told or counted"
    bench.inject(port, bytes(61))
    after = next(items)
    assert not isinstance(after, int) and len(after.frame) == 61
    watching.cancel()
    with pytest.raises(grpc.RpcError):
        next(items)
    until(lambda: not target.device.watchers)  # who has left holds nothing on the switch
    switch.close()


def test_what_a_driver_has_no_time_for_is_told_as_lost(driver: Running):
    busy = threading.Event()
    with driver.watch(queue=1) as lines:
        driver.live._inflow.put_work(lambda: None if busy.wait(WAIT_S) else pytest.fail("never let go"))
        for _ in range(1000):
            driver.bench.inject(1, bytes(14 + 1400))
        busy.set()
        seen = 0
        gaps = []
        while seen < 1000:
            (line,) = took(lines, 1)
            gaps += [line["lost"]] if "lost" in line else []
            seen += line.get("lost", 1)
    assert seen == 1000 and gaps


def test_names_are_those_of_the_moment(tmp_path: Path):
    with running_embedded(tmp_path) as target, running(tmp_path, target) as made, made.watch() as lines:
        packet = plan([{"proto": "tcp", "src": "10.244.10.11", "dst": "10.244.10.99", "dport": 80}])[0]
        made.send_one(packet)
        assert took(lines, 1)[0]["to"] == "10.244.10.99"
        made.feed(pb.WorkloadEndpointUpdate(
            id=pb.WorkloadEndpointID(orchestrator_id="k8s", workload_id="shop/new-1", endpoint_id="eth0"),
            endpoint=pb.WorkloadEndpoint(state="active", name="cali-new-1", ipv4_nets=["10.244.10.99/32"]),
        ))  # fmt: skip
        settled(made.client)
        made.send_one(packet)
        assert took(lines, 1)[0]["to"] == "workload:shop/new-1"


def foreign(address: str) -> Switch:
    """A switch that speaks P4Runtime only."""
    switch = open_switch(address)
    switch.bench = None
    return switch


def test_a_switch_that_is_not_ours(tmp_path: Path):
    with running_embedded(tmp_path) as target, running(tmp_path, target, opener=foreign) as made:
        result = CliRunner().invoke(main, ["monitor", made.address])
    assert result.exit_code == 3 and "only the embedded switch can be monitored" in result.stderr


def test_the_end_of_the_switch_ends_it(tmp_path: Path):
    server = serve(f"unix:{tmp_path}/target.sock")
    with running(tmp_path, server.address) as made, made.watch() as lines:
        server.stop()
        with pytest.raises(TargetError, match="Watch"):
            next(lines)
