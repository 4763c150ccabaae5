"""Settings of who may talk to a tier, and which packages it runs."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from splitnet.config.reading import Frozen


class TlsConfig(Frozen):
    """The table `[tls]`: this machine's certificate and the site's authority, as `splitnet keys` makes them.

    Attributes:
        directory: holds `authority.pem`, `certificate.pem` and `private.key`.
        upstream_name: the name that the certificate of the tier above must bear; None takes its address's host.
    """

    directory: Path
    upstream_name: str | None = None


class AccessRule(Frozen):
    """One entry of `[[access]]`: what certificates of these names may do.

    Attributes:
        names: of certificates; `*` stands for any run of characters.
        models: that they may call, likewise.
        load: whether they may load and unload versions.
    """

    names: Annotated[tuple[str, ...], Field(min_length=1)]
    models: tuple[str, ...] = ("*",)
    load: bool = False
