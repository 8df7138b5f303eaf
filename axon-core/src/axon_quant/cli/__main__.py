"""`python -m axon_quant.cli` is the `axon` command."""

from axon_quant.cli import main

main(prog_name="axon")
