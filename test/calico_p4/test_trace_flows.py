"""A trace of a flow that the running switch has learned: the packet is of it, both ways, translated as it is, and nothing is disturbed."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from calico_p4.bench import Bench
from calico_p4.cli.trace import lines
from calico_p4.inspect.questions import answer
from calico_p4.inspect.scene import Replayed, Scene, replayed
from calico_p4.kubernetes_file import load_events
from calico_p4.packets import Packet
from test.calico_p4.test_inspect_services import SERVICE, SLICE
from test.support.shared import recording_path

FORTH = {"source": "shop/frontend-1", "to": "svc/shop/backend"}
BACK = {"source": "shop/backend-1", "to": "shop/frontend-1", "sport": 9090, "dport": 40000}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replayed]:
    """A switch on which a client's connection to a service was opened and answered."""
    objects: Path = tmp_path_factory.mktemp("flows") / "cluster.k8s.jsonl"
    objects.write_text("".join(f"{json.dumps({'type': 'ADDED', 'object': item})}\n" for item in (SERVICE, SLICE)))
    scene = replayed(str(recording_path("quickstart.felixstream")), objects=load_events(str(objects)))
    assert scene.switch is not None and scene.switch.bench is not None
    bench = Bench(scene.driver, scene.switch.bench)
    first = {"proto": "tcp", "src": "10.244.10.11", "dst": "10.96.0.50", "sport": 40000, "dport": 80, "from": "workload:shop/frontend-1"}
    assert bench.send(Packet(0, "opens", None, 0.0, first))["verdict"] == "allow"
    assert bench.send(Packet(1, "answers", None, 3.0, {"reply_to": "opens", "flow": "established"}))["reason"] == "established"
    yield scene
    scene.close()


@pytest.fixture
def scene(running: Replayed) -> Iterator[Scene]:
    """The moment as a running driver makes it for each question."""
    scene = Scene(running.driver, running.switch, running.history, "the driver", running.frames, running.generation)
    yield scene
    scene.close()


def learned(running: Replayed) -> Any:
    assert running.switch is not None and running.switch.bench is not None
    return running.switch.bench.learned()


def told(answer: dict[str, Any], *fields: str) -> tuple[Any, ...]:
    return tuple(answer["packet"][field] for field in fields)


def test_the_way_of_the_first_packet(scene: Scene):
    found = answer(scene, "trace", FORTH)
    assert (found["verdict"], found["reason"], found["policy"]) == ("allow", "established", [])
    assert told(found, "dst", "dport") == ("10.244.10.13", 9090)
    flow = found["flow"]
    assert (flow["src"], flow["dst"], flow["leaves"]) == ("10.244.10.11:40000", "10.96.0.50:80", "10.244.10.11:40000 -> 10.244.10.13:9090")
    assert (flow["direction"], flow["state"], flow["age"]) == ("forth", "open", 3.0)
    steps = [(step["result"], step["origin"], step["action"].partition("_")[0]) for step in found["steps"] if step["table"] == "flow_v4"]
    assert steps == [("hit", "learned from a packet", "forth"), ("hit", "learned from a packet", "back")], "its own entry, and the other that it prolongs"
    text = " ".join(" ".join(lines(found)).split())
    assert "flow open, 3.0 s old: tcp 10.244.10.11:40000 -> 10.96.0.50:80, translated to 10.244.10.11:40000 -> 10.244.10.13:9090;" in text


def test_the_way_of_the_answers(scene: Scene):
    found = answer(scene, "trace", BACK)
    assert (found["verdict"], found["reason"], found["flow"]["direction"], found["staged"]) == ("allow", "established", "back", None)
    assert told(found, "src", "sport", "dst", "dport") == ("10.96.0.50", 80, "10.244.10.11", 40000)


def test_as_a_new_flow_policy_is_asked(scene: Scene):
    forth, back = (answer(scene, "trace", each | {"new": True}) for each in (FORTH, BACK))
    assert (forth["reason"], forth["flow"], back["flow"]) == ("policy", None, None) and forth["policy"] and back["verdict"] == "deny"


@pytest.mark.parametrize("other", [{"sport": 40001}, {"source": "shop/frontend-2"}])
def test_a_packet_of_no_flow_is_new(scene: Scene, other: dict[str, Any]):
    found = answer(scene, "trace", FORTH | other)
    assert found["flow"] is None and found["reason"] != "established"


def test_one_question_leaves_nothing_for_the_next(scene: Scene, running: Replayed):
    before = learned(running)
    assert len(before) >= 2
    for _ in range(2):
        assert answer(scene, "trace", FORTH | {"sport": 40002})["reason"] == "policy"
        assert answer(scene, "trace", FORTH)["reason"] == "established"
    assert learned(running) == before


def test_a_second_opinion_is_of_a_new_flow(scene: Scene):
    found = answer(scene, "trace", FORTH | {"verify": "embedded"})
    assert (found["reason"], found["verified"]["differences"]) == ("policy", [])


def test_what_is_restored_is_there_as_it_was(scene: Scene, running: Replayed):
    copy = scene.glass().bench
    assert copy is not None and copy.restore_learned(learned(running)) == len(learned(running))
    assert [dataclasses.replace(each, age_seconds=0) for each in copy.learned()] == [dataclasses.replace(each, age_seconds=0) for each in learned(running)]
    for wrong in ({"action": "nonsense"}, {"params": {}}, {"key": {}}):
        with pytest.raises(grpc.RpcError) as error:
            copy.restore_learned([dataclasses.replace(learned(running)[0], **wrong)])
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
