"""`python -m splitnet`."""

from splitnet.cli.main import main

main()
