"""An assembly made to suit DPDK means what it meant: executed by the embedded engine, either form does the same to every packet."""

import re
from random import Random

import pytest

from k8s_p4 import artefacts
from k8s_p4.target import InProcessTarget, engines, pack_device_config, unpack_device_config
from k8s_p4.target.dpdk.legal import INDEX, legalise
from k8s_p4.target.spec import parse
from test.support.p4target import session

CONFIG = unpack_device_config(artefacts.device_config())
SPEC = """
struct metadata_t {
	bit<32> port
}
metadata instanceof metadata_t
regarray first size 4 initval 0
regarray second size 4 initval 0
metarray rate size 4

apply {
	rx m.port
	regadd second 0x1 1
	LABEL :	regwr second 2 0x3
	regadd second m.port 1
	meter rate m.port 0x1 0x0 m.port
	meter rate m.port m.port 0x0 m.port
	tx m.port
}
"""


def test_numbers_go_through_a_field() -> None:
    legal = legalise(SPEC, parse(SPEC)).text
    assert re.findall(r"(?:regadd|regwr|mov|meter) .*", legal) == [
        f"mov m.{INDEX} 0x1", f"regadd second m.{INDEX} 1", f"mov m.{INDEX} 2", f"regwr second m.{INDEX} 0x3", "regadd second m.port 1",
        f"mov m.{INDEX} 0x1", f"meter rate m.port m.{INDEX} 0x0 m.port", "meter rate m.port m.port 0x0 m.port",
    ]  # fmt: skip
    assert f"LABEL :\tmov m.{INDEX} 2" in legal
    assert [field.name for field in parse(legal).structs["metadata_t"].fields] == ["port", INDEX]


def test_the_same_is_done_to_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(engines.ENGINES, "embedded", engines._embedded)  # what stands in for it elsewhere makes a legal form of its own
    answers = []
    legal = legalise(CONFIG.spec, parse(CONFIG.spec))
    port_out = legal.layout.places[legal.port]
    assert not port_out.header
    for spec in (CONFIG.spec, legal.text.replace("\ttx 0\n", f"\ttx m.{port_out.name}\n")):
        target, rng = InProcessTarget(), Random(7)
        with session(target.channel, artefacts.p4info(), pack_device_config(spec, CONFIG.context, CONFIG.entries)) as made:
            frame, port = made.allow_one()
            found = []
            for _ in range(200):
                damaged = bytearray(frame)
                damaged[rng.randrange(12, len(frame))] ^= 1 << rng.randrange(8)
                found.append(made.bench.inject(port, rng.choice((frame, bytes(damaged)))).outputs)
            assert target.device.installed is not None
            found.append({name: sum(cells) for name, cells in target.device.installed.pipeline.machine.registers.items()})
        target.stop()
        answers.append(found)
    assert answers[0] == answers[1]
    assert 20 < sum(bool(outputs) for outputs in answers[0]) < 200
