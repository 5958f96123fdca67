"""The command line: ``calico-p4``. Modules are imported by the command that needs them, so that the first output comes soon."""

from importlib import import_module
from typing import Any

import click

_COMMANDS = {
    "describe": "Show one object of a recording in full.",
    "get": "List what a recording holds, or what it becomes in the pipeline.",
    "replay": "Replay a recorded Felix stream into a target, and send packets.",
    "target": "Run the embedded switch as a P4Runtime server.",
}


class _Lazy(click.Group):
    """Subcommands by module: ``calico_p4.cli.NAME`` has a click command ``command``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"calico_p4.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="calico-p4")
@click.option("--log-level", default="warning", help="Least level of log lines on standard error: debug, info, warning or error.")
def main(log_level: str) -> None:
    """A P4 dataplane driver for Calico."""
    _set_log_level(log_level)


def _set_log_level(level: str) -> Any:
    from calico_p4.log import configure

    try:
        configure(level)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--log-level") from error
