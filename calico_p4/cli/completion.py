"""``calico-p4 completion``."""

import click


@click.command(name="completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print a script that completes commands and options: source <(calico-p4 completion bash)."""
    from click.shell_completion import get_completion_class

    from calico_p4.cli import main

    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(main, {}, "calico-p4", "_CALICO_P4_COMPLETE").source())
