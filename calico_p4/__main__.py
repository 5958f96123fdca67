"""``python -m calico_p4`` is ``calico-p4``."""

from calico_p4.cli import main

main(prog_name="calico-p4")
