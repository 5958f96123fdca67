"""``calico-p4 minimize``."""

import sys
from pathlib import Path
from typing import Any

import click

from calico_p4.cli.failure import fail, reading
from calico_p4.cli.progress import progress
from calico_p4.cli.symptom import symptom_of, symptom_options

NOT_THERE = 1


@click.command(name="minimize")
@click.argument("recording")
@symptom_options
@click.option("--good", type=click.IntRange(min=0), metavar="N", help="After the first N frames the packet was decided rightly; default: at InSync.")
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the smaller recording goes.")
@click.option("--test", "test_path", metavar="FILE", help="Where the test goes; default: test_NAME.py beside it.")
@click.option("--seconds", default=60.0, show_default=True, type=click.FloatRange(min=0), help="No replay begins later than this.")
def command(recording: str, good: int | None, output: str, test_path: str | None, seconds: float, **given: Any) -> None:
    """Make a stream in which something is wrong as small as can be, and a test of it.

    First objects are left out, then messages, then what is inside them: rules, criteria, members (not with --expect, which can't tell
    what would be right for other rules). What is left is a stream that Felix could have sent. The test (pytest) fails as long as it is wrong.
    Kubernetes objects (--k8s) are as they are at the end, from the first frame on; they stay, and go into a file beside the recording.

    Exit status: 0; 1 it does not show in the recording; 2 an argument or a file can't be used.
    """
    objects = given["k8s"]
    symptom = symptom_of("minimize", given)
    from calico_p4.tools.symptoms import NothingWrong
    from felix_proto.recordings import read_recording

    with reading("minimize", recording):
        payloads = [frame.payload for frame in read_recording(recording)]
        symptom.asked = symptom.asked._replace(beside=symptom.asked.beside.after(len(payloads)))
        with progress() as tell:
            try:
                smaller, symptom = _shrunk(payloads, symptom, good, seconds, tell)
            except NothingWrong as error:
                fail("minimize", str(error), NOT_THERE)
    _write(output, test_path, recording, symptom, smaller, len(payloads), objects)
    click.echo(f"{len(payloads)} frames became {len(smaller.payloads)}, {sum(map(len, payloads))} bytes {sum(map(len, smaller.payloads))}, in {smaller.replays} replays")
    if not smaller.complete:
        click.echo(f"calico-p4 minimize: stopped after {seconds:g} s: it may become smaller yet (--seconds)", err=True)
    for number, payload in enumerate(smaller.payloads):
        click.echo(f"{number:3} {_line(payload)}")
    sys.exit(0)


def _shrunk(payloads: list[bytes], symptom: Any, good: int | None, seconds: float, tell: Any) -> Any:
    """Return what is left, and the symptom that shows in it."""
    from calico_p4.tools.bisection import Bisection
    from calico_p4.tools.shrink import Shrinker
    from calico_p4.tools.symptoms import NotAsGolden, for_shrinking

    if isinstance(symptom, NotAsGolden):
        symptom = for_shrinking(symptom, payloads)
    if symptom.needs_reference and good is None:
        good = Bisection(payloads, symptom).in_sync
    return Shrinker(payloads, symptom, good if symptom.needs_reference else None, seconds, tell).run(), symptom


def _write(output: str, test_path: str | None, recording: str, symptom: Any, smaller: Any, frames: int, objects: str | None) -> None:
    from calico_p4.kubernetes_file import last_of
    from calico_p4.tools.reproduction import objects_beside, reproduction
    from felix_proto.framing import encode_frame

    path = Path(output)
    test = Path(test_path) if test_path else path.with_name(f"test_{path.name.partition('.')[0].replace('-', '_')}.py")
    files = {path: b"".join(map(encode_frame, smaller.payloads)), test: reproduction(output, symptom, smaller, recording, frames).encode()}
    if objects is not None:
        with reading("minimize", objects):
            files[objects_beside(output)] = "".join(f"{line}\n" for line in last_of(objects)).encode()
    for target, content in files.items():
        with reading("minimize", str(target)):
            target.write_bytes(content)


def _line(payload: bytes) -> str:
    from calico_p4.tools.text import to_text

    text = to_text(payload)
    return text if len(text) <= 116 else text[:115] + "…"
