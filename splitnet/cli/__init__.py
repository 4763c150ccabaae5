"""The command line: one file a command, heavy parts imported only by the command that needs them."""
