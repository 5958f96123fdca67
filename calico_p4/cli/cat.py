"""``calico-p4 cat``."""

import click

from calico_p4.cli.failure import reading


@click.command(name="cat")
@click.argument("recording")
@click.option("-n", "--number", is_flag=True, help="Put a comment with frame number and byte offset behind each message.")
@click.option("--answers", is_flag=True, help="The frames are those of the other direction: what a driver tells Felix.")
def command(recording: str, number: bool, answers: bool) -> None:
    """Print a recording as text, one message a line; `pack` makes the same bytes of it.

    RECORDING may be compressed with gzip; "-" is standard input.
    """
    from calico_p4.tools.text import to_text
    from calico_p4.tools.wire import FROM_DATAPLANE, TO_DATAPLANE
    from felix_proto.recordings import read_recording

    message = FROM_DATAPLANE if answers else TO_DATAPLANE
    with reading("cat", recording):
        for frame in read_recording(recording):
            line = to_text(frame.payload, message)
            click.echo(f"{line}  # frame {frame.index}, byte {frame.offset}" if number else line)
