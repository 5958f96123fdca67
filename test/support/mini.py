"""The mini program of test/k8s_p4/data: a table of every kind behind a probe header."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from k8s_p4.p4rt import p4i
from k8s_p4.target import InProcessTarget, Options, pack_device_config
from test.support.p4target import Session, session

DATA = Path(__file__).parents[1] / "k8s_p4" / "data"
FULL = 0xFFFFFFFF


def text(name: str) -> str:
    """A file of the mini program."""
    return (DATA / f"mini.{name}").read_text(encoding="utf-8")


def p4info() -> Any:
    """Its P4Info."""
    return text_format.Parse(text("p4info.txtpb"), p4i.P4Info())


def device_config() -> bytes:
    """Its p4_device_config, const entries included."""
    return pack_device_config(text("spec"), text("context.json"), text("entries.txtpb"))


@contextlib.contextmanager
def running(options: Options | None = None) -> Iterator[Session]:
    """A session on a fresh in-process target that runs the mini program."""
    target = InProcessTarget(options)
    with session(target.channel, p4info(), device_config()) as made:
        yield made
    target.stop()


@contextlib.contextmanager
def over(channel: Any, election_id: int = 1) -> Iterator[Session]:
    """A session that puts the mini program on the target behind a channel."""
    with session(channel, p4info(), device_config(), election_id) as made:
        yield made


def probe(src: int = 0x0A000001, dst: int = 0x0A000002, proto: int = 1, flags: int = 0, length: int = 100, payload: bytes = b"") -> bytes:
    """A frame with the probe header."""
    head = bytes.fromhex("0200000000020200000000 0188b5".replace(" ", ""))
    return head + src.to_bytes(4, "big") + dst.to_bytes(4, "big") + bytes((proto, flags)) + length.to_bytes(2, "big") + payload


def open_all(made: Session) -> tuple[int, int]:
    """Two ports, everything permitted under slot 3, everything sent to the second; returns the port numbers."""
    one, two = made.bench.ensure_port("one"), made.bench.ensure_port("two")
    made.insert("ports", (one,), ("enter", 5))
    made.insert("acl", (None, None, None, 1), ("permit", 3))
    made.insert("routes", (None,), ("fwd", two, 0x020000000099))
    return one, two
