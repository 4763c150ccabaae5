"""`splitnet cloud`, `splitnet edge` and `splitnet device`: one process for each machine."""

from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.console import print_json, print_line, stderr
from splitnet.cli.ending import ended_by_sigterm
from splitnet.cli.link_options import Plaintext, Tls, TlsServerName, link_settings
from splitnet.config import CloudConfig, DeviceConfig, EdgeConfig, TierConfig, load_config
from splitnet.errors import InvalidArgumentError
from splitnet.telemetry import start_logging

_Config = Annotated[Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings; options here win.")]
_Package = Annotated[Path | None, typer.Option("--package", metavar="P", help="Directory of the package.")]
_Listen = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")
]
_Upstream = Annotated[
    str | None,
    typer.Option("--upstream", metavar="HOST:PORT,...", help="The tier above, or several; none: answer alone."),
]
_Speed = Annotated[
    float | None,
    typer.Option("--emulated-speed", metavar="FRACTION", help="Emulate a machine of this fraction of the speed."),
]
_Provider = Annotated[
    str | None,
    typer.Option("--provider", metavar="NAME", help="onnxruntime's execution provider: cpu, cuda and such."),
]
_Metrics = Annotated[
    str | None, typer.Option("--metrics", metavar="HOST:PORT", help="Where Prometheus reads metrics.")
]
_LogFormat = Annotated[
    str | None, typer.Option("--log-format", metavar="text|json", help="How log lines are written.")
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def cloud(
    *,
    config: _Config = None,
    package: _Package = None,
    listen: _Listen = None,
    provider: _Provider = None,
    tls: Tls = None,
    plaintext: Plaintext = None,
    metrics: _Metrics = None,
    emulated_speed: _Speed = None,
    json_output: _Json = False,
    log_format: _LogFormat = None,
    verbose: _Verbose = False,
) -> None:
    """Serve the last segment of a package, and the whole model, until SIGTERM."""
    options = {"package": package, "listen": listen, "provider": provider, "emulated_speed": emulated_speed}
    telling = {"metrics": metrics, "log_format": log_format}
    settings = load_config(CloudConfig, config, options | link_settings(tls, plaintext) | telling)
    _begin(settings, verbose=verbose)
    from splitnet_server import run

    run(settings, lambda address: _listening("cloud", address, json_output=json_output))


def edge(
    *,
    config: _Config = None,
    package: _Package = None,
    listen: _Listen = None,
    upstream: _Upstream = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no answers to give them again.")] = False,
    provider: _Provider = None,
    tls: Tls = None,
    tls_server_name: TlsServerName = None,
    plaintext: Plaintext = None,
    metrics: _Metrics = None,
    emulated_speed: _Speed = None,
    json_output: _Json = False,
    log_format: _LogFormat = None,
    verbose: _Verbose = False,
) -> None:
    """Serve the middle segment of a package, and ask the cloud for what the edge is not sure of."""
    options = {"package": package, "listen": listen, "provider": provider, "emulated_speed": emulated_speed}
    links = {"upstream": upstream} | link_settings(tls, plaintext, tls_server_name=tls_server_name)
    telling = {"metrics": metrics, "log_format": log_format, "cache": {"entries": 0} if no_cache else None}
    settings = load_config(EdgeConfig, config, options | links | telling)
    _begin(settings, verbose=verbose)
    from splitnet_edge import run

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
    provider: _Provider = None,
    tls: Tls = None,
    tls_server_name: TlsServerName = None,
    plaintext: Plaintext = None,
    metrics: _Metrics = None,
    emulated_speed: _Speed = None,
    json_output: _Json = False,
    log_format: _LogFormat = None,
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
    options = {
        "package": package,
        "upstream": upstream,
        "deadline_ms": deadline_ms,
        "in_flight": in_flight,
        "store": store,
        "provider": provider,
        "metrics": metrics,
        "emulated_speed": emulated_speed,
        "log_format": log_format,
    }
    links = link_settings(tls, plaintext, tls_server_name=tls_server_name)
    settings = load_config(DeviceConfig, config, options | links)
    _begin(settings, verbose=verbose)
    _answer(settings, input_file, output, samples=samples, json_output=json_output)


def _answer(
    settings: DeviceConfig, input_file: Path, output: Path | None, *, samples: int | None, json_output: bool
) -> None:
    """Send a file's samples and print the report; the exit code says whether all were answered."""
    from splitnet.cli.device_progress import DeviceProgress, print_report
    from splitnet_device.program import run

    with ended_by_sigterm(), DeviceProgress(stderr) as progress:
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


def _begin(settings: TierConfig, *, verbose: bool) -> None:
    """Set up what the whole process shares, before anything starts a thread."""
    from splitnet.runtime.allocator import keep_memory

    start_logging(verbose=verbose, log_format=settings.log_format)
    keep_memory()


def _listening(tier: str, address: str, *, json_output: bool) -> None:
    if json_output:
        print_json({"tier": tier, "listening": address})
    else:
        print_line(f"{tier} listening on {address}")
