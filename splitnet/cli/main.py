"""The `splitnet` command: registers the commands, and turns every error into one line and an exit code."""

import sys

import typer

from splitnet.cli.bench import bench
from splitnet.cli.demo import demo
from splitnet.cli.emulate import emulate
from splitnet.cli.federate import federate
from splitnet.cli.inspect import inspect
from splitnet.cli.keys import keys
from splitnet.cli.partition import partition
from splitnet.cli.plan import plan
from splitnet.cli.profile import profile
from splitnet.cli.release import release
from splitnet.cli.samples import samples
from splitnet.cli.tiers import cloud, device, edge
from splitnet.errors import SplitNetError, outcome_of

app = typer.Typer(
    name="splitnet",
    help="Cut a trained model into device, edge and cloud segments and run them as one service.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    suggest_commands=False,  # click does
)
for command in (profile, partition, plan, inspect, cloud, edge, device, emulate, bench, demo):
    app.command()(command)
app.add_typer(federate)
app.add_typer(keys)
app.add_typer(release)
app.add_typer(samples)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except SplitNetError as err:
        sys.stderr.write(f"splitnet: {err}\n")
        sys.exit(outcome_of(err).exit_code)
    except BrokenPipeError:
        # The reader of our output went away (`splitnet … | head`); that is its right.
        sys.stderr.close()
        sys.exit(1)


if __name__ == "__main__":
    main()
