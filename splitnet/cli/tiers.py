"""`splitnet cloud`, `splitnet edge` and `splitnet device`: one process for each machine."""

from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.console import print_json, print_line, stderr
from splitnet.config import CloudConfig, DeviceConfig, EdgeConfig, load_config
from splitnet.errors import InvalidArgumentError
from splitnet.telemetry import start_logging

_Config = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings; options here win.")]
_Package = Annotated[Path | None, typer.Option("--package", metavar="P", help="Directory of the package.")]
_Listen = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
]
_Upstream = Annotated[
    str | None, typer.Option("--upstream", metavar="HOST:PORT", help="The tier above; none: answer alone.")
]
_Speed = Annotated[
    float | None,
    typer.Option("--emulated-speed", metavar="FRACTION", help="Emulate a machine of this fraction of the speed."),
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def cloud(
    *,
    config: _Config = None,
    package: _Package = None,
    listen: _Listen = None,
    emulated_speed: _Speed = None,
    json_output: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Serve the last segment of a package, and the whole model, until SIGTERM."""
    from splitnet_server import run

    start_logging(verbose=verbose)
    options = {"package": package, "listen": listen, "emulated_speed": emulated_speed}
    settings = load_config(CloudConfig, config, options)
    run(settings, lambda address: _listening("cloud", address, json_output=json_output))


def edge(
    *,
    config: _Config = None,
    package: _Package = None,
    listen: _Listen = None,
    upstream: _Upstream = None,
    emulated_speed: _Speed = None,
    json_output: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Serve the middle segment of a package, and ask the cloud for what the edge is not sure of."""
    from splitnet_edge import run

    start_logging(verbose=verbose)
    options = {"package": package, "listen": listen, "upstream": upstream, "emulated_speed": emulated_speed}
    settings = load_config(EdgeConfig, config, options)
    run(settings, lambda address: _listening("edge", address, json_output=json_output))


def device(
    *,
    input_file: Annotated[
        Path | None, typer.Option("--input", metavar="FILE.npz", help="Samples, one array an input.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE.npz", help="Where to write the answers.")] = None,
    config: _Config = None,
    package: _Package = None,
    upstream: _Upstream = None,
    deadline_ms: Annotated[
        float | None, typer.Option("--deadline-ms", metavar="N", help="Answer within so many milliseconds.")
    ] = None,
    in_flight: Annotated[
        int | None, typer.Option("--in-flight", metavar="N", help="Samples under way at a time.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, metavar="N", help="Use the first N samples.")] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep what deeper tiers answer, to learn from.")
    ] = None,
    federate: Annotated[
        str | None, typer.Option("--federate", metavar="HOST:PORT", help="Join federated rounds at a SuperLink.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="With --federate: the device's state directory.")
    ] = None,
    root_certificates: Annotated[
        Path | None, typer.Option(metavar="FILE.pem", help="Authority behind the SuperLink's certificate.")
    ] = None,
    auth_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The SuperNode's key, for a SuperLink that asks for one.")
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Reach the SuperLink without TLS.")] = False,
    emulated_speed: _Speed = None,
    json_output: _Json = False,
    verbose: _Verbose = False,
) -> None:
    """Send the samples of a file: what the device is sure of it answers, the rest goes up.

    With --federate it takes part in federated rounds instead: it becomes Flower's SuperNode, until SIGTERM.
    """
    if federate is not None:
        from splitnet.cli.federate_join import become_supernode

        become_supernode(federate, state, root_certificates, auth_key=auth_key, insecure=insecure)
    if input_file is None:
        raise InvalidArgumentError(
            "what? --input FILE.npz to answer samples, --federate HOST:PORT to learn in rounds"
        )
    from splitnet.cli.device_progress import DeviceProgress, print_report
    from splitnet_device.program import run

    start_logging(verbose=verbose)
    options = {
        "package": package,
        "upstream": upstream,
        "deadline_ms": deadline_ms,
        "in_flight": in_flight,
        "store": store,
        "emulated_speed": emulated_speed,
    }
    settings = load_config(DeviceConfig, config, options)
    with DeviceProgress(stderr) as progress:
        report = run(
            settings,
            input_file,
            output=output,
            limit=samples,
            on_start=progress.start,
            on_outcome=progress.advance,
        )
    if json_output:
        print_json(report.to_json())
    else:
        print_report(report)
    if report.errors:
        raise typer.Exit(4)


def _listening(tier: str, address: str, *, json_output: bool) -> None:
    if json_output:
        print_json({"tier": tier, "listening": address})
    else:
        print_line(f"{tier} listening on {address}")
