"""``calico-p4 pack``."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import click

from calico_p4.cli.failure import UNUSABLE, fail, reading


@click.command(name="pack")
@click.argument("text")
@click.option("-o", "--output", default="-", show_default=True, metavar="FILE", help="Where the recording goes.")
@click.option("--renumber", is_flag=True, help="Give the messages the sequence numbers 0, 1, 2 and so on, whatever they say.")
@click.option("--answers", is_flag=True, help="The messages are those of the other direction: what a driver tells Felix.")
def command(text: str, output: str, renumber: bool, answers: bool) -> None:
    """Make a recording of the lines that `cat` prints.

    TEXT is a file, "-" standard input. Nothing is written if a line is no message.
    """
    with reading("pack", text):
        payloads = list(_payloads(text, renumber, answers))
    from felix_proto.framing import encode_frame

    with reading("pack", output):
        if output == "-":
            _write(sys.stdout.buffer, [encode_frame(payload) for payload in payloads])
        else:
            with open(output, "wb") as file:
                _write(file, [encode_frame(payload) for payload in payloads])


def _write(file: BinaryIO, frames: list[bytes]) -> None:
    file.writelines(frames)
    file.flush()


def _payloads(path: str, renumber: bool, answers: bool) -> Iterator[bytes]:
    from calico_p4.tools.sequence import numbered
    from calico_p4.tools.text import TextError, to_fields
    from calico_p4.tools.wire import FROM_DATAPLANE, TO_DATAPLANE, encode

    message = FROM_DATAPLANE if answers else TO_DATAPLANE
    index = 0
    for number, line in enumerate(_lines(path), 1):
        try:
            fields = to_fields(line, message)
        except TextError as error:
            fail("pack", f"{path}: line {number}, {error}", UNUSABLE)
        if fields is not None:
            yield encode(numbered(fields, index, message) if renumber else fields)
            index += 1


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a file; nothing but a newline ends one."""
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    for number, line in enumerate(data.split(b"\n"), 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            fail("pack", f"{path}: line {number}, byte {error.start + 1}: not UTF-8", UNUSABLE)
