"""Meters on the target: they follow the stream, and a refusal is told."""

from __future__ import annotations

from typing import Any

import pytest

from calico_p4.inspect.scene import Replayed, replayed
from calico_p4.meters import Meters
from calico_p4.p4runtime.errors import TargetError, TargetLost
from felix_proto.types import QoSControls, WorkloadEndpointRemove, WorkloadEndpointUpdate
from k8s_p4.schema import METERS
from test.support.shared import recording_path
from translator.qos import meters
from translator.rejects import METERS as REJECTS

ONE, TWO = (10, 5, 10, 5), (20, 5, 20, 5)


class Client:
    """A target with meters; those of index 9 it refuses."""

    def __init__(self, held: dict[tuple[int, int], Any] | None = None, error: Exception | None = None) -> None:
        self.held, self.error, self.written = held or {}, error, 0

    def read_meters(self, number: int) -> dict[int, Any]:
        if self.error:
            raise self.error
        return {index: config for (meter, index), config in self.held.items() if meter == number}

    def write_meters(self, wanted: Any) -> list[str | None]:
        self.written += len(wanted)
        for meter, index, config in wanted:
            if config is None:
                self.held.pop((meter, index), None)
            elif index != 9:
                self.held[meter, index] = config
        return ["no room" if index == 9 else None for _, index, _ in wanted]


def test_only_what_differs_is_written() -> None:
    number = METERS["egress_packets"][0]
    client, known = Client({(number, 1): ONE, (number, 2): ONE}), Meters()
    known.push(client, {("egress_packets", 1): ONE, ("egress_packets", 3): ONE})
    assert (client.held, client.written) == ({(number, 1): ONE, (number, 3): ONE}, 2), "what nobody wants is taken away"
    known.push(client, {("egress_packets", 1): TWO, ("egress_packets", 3): ONE})
    assert (client.held[number, 1], client.written) == (TWO, 3)
    known.push(client, {})
    assert client.held == {}


def test_a_refused_meter_is_tried_again() -> None:
    client, known = Client(), Meters()
    for attempt in (1, 2):
        known.push(client, {("egress_bytes", 9): ONE})
        assert (known.refused, client.written) == ({("egress_bytes", 9): "no room"}, attempt)
        assert list(known.differing({("egress_bytes", 9): ONE})) == [("egress_bytes", 9)]
    known.push(client, {})
    assert known.refused == {}


def test_a_target_that_can_not_be_asked() -> None:
    client, known = Client(error=TargetError("no meters")), Meters()
    known.push(client, {("egress_bytes", 1): ONE})
    assert client.written == 1
    with pytest.raises(TargetLost):
        Meters().push(Client(error=TargetLost("gone")), {})


def held(scene: Replayed) -> dict[tuple[str, int], Any]:
    assert scene.switch is not None
    return {(name, index): config for name, (number, _) in METERS.items() for index, config in scene.switch.client.read_meters(number).items()}


def test_meters_follow_the_stream() -> None:
    scene = replayed(str(recording_path("floating-qos.felixstream")))
    driver, store = scene.driver, scene.store
    expected: dict[Any, Any] = dict(REJECTS)
    for endpoint_id, endpoint in store.endpoints.items():
        number = driver.translator.reach.states.views[endpoint_id].number
        expected |= {(name, number): config for name, config in meters(endpoint.qos_controls or QoSControls())}
    assert held(scene) == expected and len(expected) > len(REJECTS) + 4
    assert max(max(config) for config in expected.values()) >= 4_294_967_296 // 8
    (metered,) = [key for key, endpoint in store.endpoints.items() if key.workload_id.endswith("/qos-full")]
    endpoint = store.endpoints[metered]
    controls = endpoint.qos_controls._replace(EgressPacketRate=77)
    driver.apply(WorkloadEndpointUpdate(metered, endpoint._replace(qos_controls=controls)))
    driver.rest()
    number = driver.translator.reach.states.views[metered].number
    assert held(scene)["egress_packets", number][0] == 77
    driver.apply(WorkloadEndpointRemove(metered))
    driver.rest()
    assert not [key for key in held(scene) if key[1] == number and key not in REJECTS]
    assert driver.converged
    scene.close()
