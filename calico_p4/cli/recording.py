"""Reading a recording for a command, with errors as the replay contract has them: file, byte offset, frame; exit 2."""

import sys

import click

from calico_p4.offline import Offline
from felix_proto.decode import DecodeError
from felix_proto.framing import FrameError


def read(recording: str, until: int | None) -> Offline:
    """Read a recording, or end the program."""
    try:
        return Offline(recording, until)
    except (FrameError, DecodeError) as error:
        click.echo(f"calico-p4: {recording}: {error}", err=True)
    except OSError as error:
        click.echo(f"calico-p4: {recording}: {error.strerror or error}", err=True)
    sys.exit(2)
