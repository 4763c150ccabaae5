"""`splitnet federate`: rounds on Flower: start a job, see how far it is, stop it."""

from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.console import print_json, print_line
from splitnet.errors import InvalidArgumentError
from splitnet.telemetry import start_logging

federate = typer.Typer(
    name="federate", help="Have a fleet of devices learn together, in rounds on Flower.", no_args_is_help=True
)

_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Job = Annotated[
    Path, typer.Argument(metavar="DIR", help="The job's folder: --output of `splitnet federate run`.")
]
_SuperLink = Annotated[str | None, typer.Option("--superlink", metavar="HOST:PORT", help="Flower's SuperLink.")]
_RootCertificates = Annotated[
    Path | None,
    typer.Option("--root-certificates", metavar="FILE.pem", help="Authority behind the SuperLink's certificate."),
]
_Insecure = Annotated[bool, typer.Option("--insecure", help="Without TLS, though not on this machine.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")]


@federate.command()
def run(
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the job.")],
    package: Annotated[Path | None, typer.Option("--package", metavar="P", help="What is trained.")] = None,
    roster: Annotated[Path | None, typer.Option("--roster", metavar="FILE.json", help="The fleet.")] = None,
    operator: Annotated[
        Path | None, typer.Option("--operator", metavar="OPERATOR.pub", help="Who signed the roster.")
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE.toml", help="Settings, as TOML or JSON.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="How many, whatever the settings say.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option("--ledger", metavar="FILE.json", help="What was spent of the fleet's privacy.")
    ] = None,
    superlink: _SuperLink = None,
    root_certificates: _RootCertificates = None,
    insecure: _Insecure = False,
    local: Annotated[
        int | None, typer.Option("--local", min=2, metavar="N", help="Try out: N devices on this machine.")
    ] = None,
    stores: Annotated[
        Path | None, typer.Option("--stores", metavar="DIR", help="With --local: sample stores, one a device.")
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", metavar="FILE.npz", help="Then make the next version with this."),
    ] = None,
    judge: Annotated[
        Path | None, typer.Option("--judge", metavar="FILE.npz", help="Other samples to judge that on.")
    ] = None,
    release: Annotated[
        Path | None, typer.Option("--release", metavar="NEW.split", help="Where to write it; DIR/next.split.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the job that is in the folder.")] = False,
    json_output: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Run a job's rounds, from the start or from where it stopped."""
    from splitnet.cli.federate_job import Asked
    from splitnet.cli.federate_run import Place, Release, run_asked

    start_logging(verbose=verbose)
    place = Place(superlink, root_certificates, local, stores, insecure=insecure)
    wanted = Asked(package, roster, operator, settings, rounds, ledger)
    next_version = None
    if calibration is None and (judge is not None or release is not None):
        raise InvalidArgumentError("--judge and --release belong to --calibration, which makes the next version")
    if calibration is not None:
        next_version = Release(calibration, judge, release or output / "next.split")
    run_asked(output, wanted, place, release=next_version, resume=resume, as_json=json_output)


@federate.command()
def status(job: _Job, *, json_output: _Json = False) -> None:
    """Show how far a job is."""
    from splitnet.cli.federate_progress import print_status
    from splitnet_server.rounds import JobFolder
    from splitnet_server.rounds.status import status_of

    found = status_of(JobFolder(job))
    if json_output:
        print_json(found)
    else:
        print_status(found)


@federate.command()
def stop(job: _Job) -> None:
    """Have a job stop; `run --resume` goes on with it."""
    from splitnet_server.rounds import JobFolder

    folder = JobFolder(job)
    folder.job()
    if not folder.running:
        print_line("the job does not run: there is nothing to stop")
        return
    folder.ask_to_stop()
    print_line("stopping: the leg that is under way is given up; `splitnet federate run --resume` goes on")
