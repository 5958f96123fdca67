"""``calico-p4 redact``."""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

import click

from calico_p4.cli.failure import fail, reading


@click.command(name="redact")
@click.argument("recordings", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="PATH", help="File for the result; a folder where there are several recordings.")
@click.option("--key", metavar="TEXT", help="Secret that the result depends on; drawn at random if not given.")
@click.option("--packets", metavar="FILE", help="A packets file that goes with the recordings, to be redacted alike.")
@click.option("--packets-output", metavar="FILE", help="Where the redacted packets go.")
@click.option("--map", "map_file", metavar="FILE", help="Write which name became which, to be kept: JSON.")
@click.option("--check", default=200, show_default=True, metavar="N", help="Packets by which each result is compared with its original; 0: none.")
def command(
    recordings: tuple[str, ...],
    output: str,
    key: str | None,
    packets: str | None,
    packets_output: str | None,
    map_file: str | None,
    check: int,
) -> None:
    """Replace names and addresses in recordings, the same by the same everywhere, so that they decide as before and tell nothing.

    Exit status: 0; 1 a packet is decided otherwise afterwards (nothing is written then); 2 a file can't be used.
    """
    if (packets is None) != (packets_output is None):
        raise click.UsageError("--packets and --packets-output go together.")
    from calico_p4.tools.redact import Redactor

    secret = key.encode() if key is not None else secrets.token_bytes(32)
    if not 0 < len(secret) <= 64:
        raise click.BadParameter("has to have 1 to 64 bytes", param_hint="--key")
    redactor = Redactor(secret)
    streams = {recording: _read(recording) for recording in recordings}
    for payloads in streams.values():
        redactor.collect(payloads)
    redactor.settle()
    results = {recording: [redactor.redact(payload) for payload in payloads] for recording, payloads in streams.items()}
    for recording in recordings if check else ():
        _check(redactor, recording, streams[recording], results[recording], check)
    changed = _packets(redactor, packets) if packets is not None else None
    _write(output, results)
    if packets_output is not None:
        _save(packets_output, changed)
    if map_file is not None:
        _save(map_file, redactor.names.table())
    for name, count in redactor.dropped.items():
        click.echo(f"calico-p4 redact: {name}: unknown, left out {count} times", err=True)


def _read(recording: str) -> list[bytes]:
    from felix_proto.recordings import read_recording

    with reading("redact", recording):
        return [frame.payload for frame in read_recording(recording)]
    return []


def _check(redactor: Any, recording: str, before: list[bytes], after: list[bytes], count: int) -> None:
    from calico_p4.tools.verdicts import compare

    with reading("redact", recording):
        found = compare(before, after, redactor.packet, count)
    for difference in found[:10]:
        click.echo(f"calico-p4 redact: {recording}: {dict(difference.packet)}: {difference.before} became {difference.after}", err=True)
    if found:
        fail("redact", f"{recording}: {len(found)} of {count} packets are decided otherwise; nothing written", 1)


def _packets(redactor: Any, path: str) -> list[dict[str, Any]]:
    from calico_p4.files import load_list

    with reading("redact", path):
        items = load_list(path, "packets")
    changed = []
    for index, item in enumerate(items):
        try:
            changed.append(redactor.packet(item))
        except (ValueError, KeyError) as error:
            fail("redact", f"{path}: [{index}]: {error}")
    return changed


def _write(output: str, results: dict[str, list[bytes]]) -> None:
    from felix_proto.framing import encode_frame

    several = len(results) > 1 or Path(output).is_dir()
    for recording, payloads in results.items():
        path = Path(output, Path(recording).name.removesuffix(".gz")) if several else Path(output)
        with reading("redact", str(path)):
            if several:
                path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(map(encode_frame, payloads)))


def _save(path: str, content: Any) -> None:
    with reading("redact", path):
        Path(path).write_text(json.dumps(content, indent=1) + "\n")
    sys.stdout.flush()
