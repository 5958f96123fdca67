"""How the tools for streams end when a file can't be used: file and place on standard error, exit status 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

UNUSABLE = 2


@contextmanager
def reading(command: str, path: str) -> Iterator[None]:
    """Turn what can be wrong with the file at ``path`` into an error message and the end of the program."""
    from calico_p4.files import BadFile
    from felix_proto.decode import DecodeError
    from felix_proto.framing import FrameError

    try:
        yield
    except (FrameError, DecodeError) as error:
        fail(command, f"{path}: {error}")
    except BadFile as error:
        fail(command, str(error))
    except BrokenPipeError:  # whoever reads our output has seen enough
        sys.stdout = None
        sys.exit(0)
    except OSError as error:
        fail(command, f"{error.filename or path}: {error.strerror or error}")


def fail(command: str, text: str, status: int = UNUSABLE) -> NoReturn:
    """Print an error and end."""
    click.echo(f"calico-p4 {command}: {text}", err=True)
    sys.exit(status)
