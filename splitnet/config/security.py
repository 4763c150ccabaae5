"""Settings of who may talk to a tier, and which packages it runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from splitnet.config.addresses import format_address, is_loopback
from splitnet.config.frozen import Frozen
from splitnet.errors import ConfigError

_Text = Annotated[str, Field(min_length=1, max_length=253)]

_DIRECTORY = "the directory of this machine's certificate (--tls DIR), as `splitnet keys certificate` makes it"


class TlsConfig(Frozen):
    """The table `[tls]`: this machine's certificate and the site's authority, as `splitnet keys` makes them.

    Attributes:
        directory: holds `authority.pem`, `certificate.pem` and `private.key`.
        upstream_name: the name that the certificate of the tier above must bear; None takes its address's host.
    """

    directory: Annotated[Path, Field(description=_DIRECTORY)]
    upstream_name: _Text | None = None


class AccessRule(Frozen):
    """One entry of `[[access]]`: what certificates of these names may do.

    Attributes:
        names: of certificates; `*` stands for any run of characters.
        models: that they may call, likewise; a name stands for the same model of other plans too.
        load: whether they may load and unload versions.
    """

    names: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=1024)]
    models: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=1024)] = ("*",)
    load: bool = False


def check_links(
    listen: tuple[str, int] | None,
    upstream: Sequence[tuple[str, int]] | None,
    *,
    tls: TlsConfig | None,
    plaintext: bool,
) -> None:
    """Refuse links beyond this machine that nothing protects, unless they are asked for by name.

    Args:
        listen: where the tier listens, if it does.
        upstream: the tiers above, if any.
        tls: this machine's certificate.
        plaintext: whether links beyond loopback may be plaintext.

    Raises:
        ConfigError: an address is beyond loopback, and there is neither `tls` nor `plaintext`; or there are both.
    """
    if tls is not None and plaintext:
        raise ConfigError("tls and plaintext: give one of both; with a certificate every link uses it")
    if tls is not None or plaintext:
        return
    beyond = [each for each in (*([listen] if listen else []), *(upstream or ())) if not is_loopback(each[0])]
    if beyond:
        raise ConfigError(
            f"{format_address(beyond[0])}: a link beyond this machine needs a certificate: `[tls]` with "
            "`directory`, or --tls DIR, as `splitnet keys certificate` makes it; or, where anybody may listen and "
            "ask, `plaintext = true`, or --plaintext"
        )
