"""The command line: ``calico-p4``. Modules are imported by the command that needs them, so that the first output comes soon."""

import sys
from importlib import import_module
from typing import Any

import click

INTERNAL = 70
"""Exit status for a fault of the program itself: EX_SOFTWARE of sysexits.h."""
_QUIET = "warning"
_COMMANDS = {
    "bisect": "Find the frame after which something is wrong.",
    "bundle": "Pack everything about a state into one file.",
    "capabilities": "Say what a target can do.",
    "cat": "Print a recording as text, one message a line.",
    "check": "Check whether everything is as it should be.",
    "clear": "Make the switch forget what it learned.",
    "completion": "Print a script that completes commands in a shell.",
    "coverage": "Count what recordings exercise.",
    "describe": "Show one object of a recording in full.",
    "diff": "Say what differs between two states.",
    "explain": "Say who made an entry, and why it is there.",
    "get": "List what a recording holds, or what it becomes in the pipeline.",
    "lint": "Check a recording against the rules that Felix keeps.",
    "minimize": "Make a stream in which something is wrong small, and a test of it.",
    "monitor": "Watch what becomes of each packet through a running driver's switch.",
    "pack": "Make a recording of the lines that cat prints.",
    "record": "Run a driver and record what Felix sends it.",
    "redact": "Replace names and addresses in a recording.",
    "replay": "Replay a recorded Felix stream into a target, and send packets.",
    "target": "Run the embedded switch as a P4Runtime server.",
    "top": "Show the rules most often met, why packets were dropped, the fullest tables.",
    "trace": "Say what becomes of a packet, and why, entry by entry.",
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

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for one that is none say what was meant."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _COMMANDS, n=3, cutoff=0.5)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. A fault of the program itself is one line, unless the traceback is asked for."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit, KeyboardInterrupt, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            click.echo(f"calico-p4: a fault of this program: {type(error).__name__}: {error} (--debug shows where)", err=True)
            sys.exit(INTERNAL)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="calico-p4")
@click.option("--log-level", default=_QUIET, help="Least level of log lines on standard error: debug, info, warning or error.")
@click.option("--debug", is_flag=True, help="Show the traceback of a fault of this program.")
def main(log_level: str, debug: bool) -> None:
    """A P4 dataplane driver for Calico."""
    del debug  # looked at where a fault is caught
    if log_level != _QUIET:  # the logger is imported by whoever logs, and is quiet by default
        _set_log_level(log_level)


def _set_log_level(level: str) -> Any:
    from calico_p4.log import configure

    try:
        configure(level)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--log-level") from error
