"""``calico-p4 target``."""

import signal
import sys
from typing import Any

import click


def _start_dpdk() -> None:
    """Start DPDK now, so that what is missing is told before anybody waits for the target."""
    from k8s_p4.target.dpdk import library

    library.start()


@click.command(name="target")
@click.option("--listen", required=True, metavar="ADDRESS", help="unix:PATH or HOST:PORT.")
@click.option("--engine", type=click.Choice(["embedded", "dpdk"]), default="embedded", show_default=True, help="What executes the pipeline.")
@click.option("--real-time", is_flag=True, help="The clock runs by itself, and ports may be bound to Linux interfaces; else time stands still but for tests.")
def command(listen: str, engine: str, real_time: bool) -> None:
    """Run a switch as a P4Runtime server until SIGTERM; prints "listening on ADDRESS" when it is ready.

    The engine dpdk needs what docs/targets.md lists.
    """
    from k8s_p4.target import Options, serve

    try:
        if engine == "dpdk":
            _start_dpdk()
        server = serve(listen, Options(engine=engine, real_time=real_time))
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
