"""``calico-p4 target``."""

import signal
import sys
from typing import Any

import click


@click.command(name="target")
@click.option("--listen", required=True, metavar="ADDRESS", help="unix:PATH or HOST:PORT.")
def command(listen: str) -> None:
    """Run the embedded switch as a P4Runtime server until SIGTERM; prints "listening on ADDRESS" when it is ready."""
    from k8s_p4.target import serve

    try:
        server = serve(listen)
    except (OSError, RuntimeError, ValueError) as error:
        click.echo(f"calico-p4 target: {listen}: {error}", err=True)
        sys.exit(1)

    def end(_number: int, _frame: Any) -> None:
        server.stop()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    click.echo(f"listening on {server.address}")
    sys.stdout.flush()
    server.wait()
