"""`splitnet release`: make the next version of a package, roll it out, and see what tiers have."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splitnet.cli.console import print_json, print_line
from splitnet.cli.link_options import Tls, TlsServerName
from splitnet.config import TlsConfig, check_links, load_config, parse_address
from splitnet.errors import InvalidArgumentError
from splitnet.telemetry import start_logging

if TYPE_CHECKING:
    from splitnet.release.candidate import Candidate
    from splitnet.release.figures import Figures
    from splitnet.release.paired import Paired
    from splitnet.release.rollout import TierStatus

#: A candidate was refused; it and the report lie aside.
REFUSED_CODE = 5

release = typer.Typer(
    name="release",
    help="Put learned parameters into the next version of a package, judge it, and roll it out.",
    no_args_is_help=True,
)
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Tiers = Annotated[list[str], typer.Option("--tier", metavar="HOST:PORT", help="A tier's address; repeatable.")]
_Plaintext = Annotated[bool, typer.Option("--plaintext", help="Reach tiers beyond loopback without TLS.")]


@release.command()
def make(
    *,
    package: Annotated[Path, typer.Option("--package", metavar="P", help="The running version.")],
    parameters: Annotated[Path, typer.Option("--parameters", metavar="FILE.npy", help="What was learned.")],
    calibration: Annotated[
        Path, typer.Option("--calibration", metavar="FILE.npz", help="Samples that choose the thresholds anew.")
    ],
    judge: Annotated[
        Path | None,
        typer.Option("--judge", metavar="FILE.npz", help="Other samples to judge on; else the calibration's."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="NEW.split", help="The version to write.")],
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="SHARE", help="Of samples: how far accuracy may drop.")
    ] = 0.01,
    alpha: Annotated[
        float, typer.Option("--alpha", metavar="P", help="Probability that each half of the rule is met by luck.")
    ] = 0.05,
    json_output: _Json = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log to standard error.")] = False,
) -> None:
    """Make the next version, judge it beside the running one, and write it if it is better."""
    start_logging(verbose=verbose)
    try:
        from splitnet.release.candidate import make_candidate
        from splitnet.release.evidence import read_evidence
    except ModuleNotFoundError as err:
        raise InvalidArgumentError(
            f"`splitnet release make` needs {err.name}: install SplitNet with the extra, splitnet[partition]"
        ) from err
    from splitnet.package import open_package
    from splitnet.release.parameter_file import read_parameters
    from splitnet.release.rule import Rule

    opened = open_package(package)
    evidence = read_evidence(opened, calibration, judge)
    made = make_candidate(opened, read_parameters(parameters), evidence, output, rule=Rule(tolerance, alpha))
    if json_output:
        print_json(_made(made))
    else:
        _print(made)
    if not made.judgement.released:
        raise typer.Exit(REFUSED_CODE)


@release.command()
def apply(
    package: Annotated[Path, typer.Argument(metavar="NEW.split", help="The version, as it lies here.")],
    *,
    tier: _Tiers,
    timeout_s: Annotated[
        float, typer.Option("--timeout", min=1.0, metavar="SECONDS", help="How long one tier may take.")
    ] = 600.0,
    tls: Tls = None,
    tls_server_name: TlsServerName = None,
    plaintext: _Plaintext = False,
    json_output: _Json = False,
) -> None:
    """Have tiers load a version from their repositories, from the top down."""
    from splitnet.package import open_package
    from splitnet.release.rollout import apply as roll_out

    loaded: list[dict[str, str]] = []

    def tell(address: str, role: str) -> None:
        loaded.append({"address": address, "tier": role})
        if not json_output:
            print_line(f"{role or 'tier'} at {address} offers version {opened.manifest.model.version}")

    opened = open_package(package)
    addresses, certificate = _closed_to_strangers(tier, tls, tls_server_name, plaintext=plaintext)
    roll_out(opened, addresses, tls=certificate, timeout_s=timeout_s, on_loaded=tell)
    if json_output:
        print_json({"version": opened.manifest.model.version, "plan": opened.manifest.plan.id, "loaded": loaded})


@release.command()
def status(
    *,
    tier: _Tiers,
    tls: Tls = None,
    tls_server_name: TlsServerName = None,
    plaintext: _Plaintext = False,
    json_output: _Json = False,
) -> None:
    """Show which versions tiers offer, and which lie in their repositories."""
    from splitnet.release.rollout import status as ask

    addresses, certificate = _closed_to_strangers(tier, tls, tls_server_name, plaintext=plaintext)
    found = [ask(address, tls=certificate) for address in addresses]
    if json_output:
        print_json({"tiers": [_status(each) for each in found]})
        return
    table = Table("tier", "model", "version", "state", "reason")
    for each in found:
        for model in each.models:
            texts = (model.name, model.version, model.state, model.reason)
            table.add_row(each.address, *(escape(text) for text in texts))
    Console(highlight=False).print(table)


def _closed_to_strangers(
    tiers: list[str], tls: Path | None, tls_server_name: str | None, *, plaintext: bool
) -> tuple[list[tuple[str, int]], TlsConfig | None]:
    """Return the tiers' addresses and the certificate to reach them with, which they need beyond loopback."""
    addresses = [parse_address(each) for each in tiers]
    given = {"directory": tls, "upstream_name": tls_server_name}
    certificate = load_config(TlsConfig, None, given) if any(each is not None for each in given.values()) else None
    check_links(None, addresses, tls=certificate, plaintext=plaintext)
    return addresses, certificate


def _status(found: "TierStatus") -> dict[str, Any]:
    models = [
        {"name": each.name, "version": each.version, "state": each.state, "reason": each.reason}
        for each in found.models
    ]
    return {"address": found.address, "models": models}


def _made(made: "Candidate") -> dict[str, Any]:
    return made.judgement.to_json() | {"package": str(made.package.path), "report": str(made.report)}


def _print(made: "Candidate") -> None:
    console, found = Console(highlight=False), made.judgement
    table = Table(
        "", f"version {found.running.version}", f"version {found.candidate.version}", "gained", "lost", "p"
    )
    rows: list[tuple[str, str, str, Paired | None]] = [
        ("accuracy", "accuracy", ".4f", found.accuracy),
        ("at the device's exit", "device_accuracy", ".4f", found.device_accuracy),
        ("share that goes up", "forwarded_share", ".4f", found.forwarded),
        ("bytes a sample", "bytes_per_sample", ",.1f", None),
    ]
    for name, field, form, pairs in rows:
        cells = [_figure(each, field, form) for each in (found.running, found.candidate)]
        beside = [str(pairs.gained), str(pairs.lost), f"{pairs.p_better:.2g}"] if pairs is not None else []
        table.add_row(name, *cells, *beside)
    console.print(table)
    verdict = "[green]released[/]" if found.released else "[red]refused[/]"
    console.print(f"{verdict}: {escape(found.reason)}")
    console.print(escape(f"package {made.package.path}, report {made.report}"))


def _figure(figures: "Figures", field: str, form: str) -> str:
    value = getattr(figures, field)
    return "" if value is None else format(value, form)
