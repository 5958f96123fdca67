"""``calico-p4 record``."""

import os

import click


@click.command(name="record", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--dir", "directory", metavar="DIR", help="Where the recording goes; default $CALICO_P4_RECORD_DIR, else the working directory.")
@click.option("--k8s-events", metavar="FILE", help="File or named pipe with events of Kubernetes, one JSON object a line, to be recorded too.")
@click.option("--exit-with-driver", is_flag=True, help="End when the driver ends, so that Felix notices; else Felix is recorded on.")
@click.argument("driver", nargs=-1, required=True, type=click.UNPROCESSED)
def command(driver: tuple[str, ...], directory: str | None, k8s_events: str | None, exit_with_driver: bool) -> None:
    """Run a dataplane driver and record what Felix sends it, and what it answers.

    To be started by Felix: a script with `exec calico-p4 record -- DRIVER` in the place of the driver. Works with any driver.
    The exit status is the driver's; 127 if it can't be started.
    """
    from calico_p4.tools.record import record

    status = record(driver, directory, k8s_events, exit_with_driver)
    os._exit(status)  # threads that wait for somebody who is gone shall not hold up the end
