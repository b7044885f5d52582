"""`python -m dosebench` is the `dosebench` command."""

from dosebench.cli import main

main(prog_name="dosebench")
