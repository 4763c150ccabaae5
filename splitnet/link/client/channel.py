"""A gRPC channel to a tier: plaintext or with certificates, under the name that its certificate must bear."""

from dataclasses import dataclass

import grpc

from splitnet.config import format_address
from splitnet.link.options import Option, channel_options


@dataclass(frozen=True, slots=True)
class Target:
    """Where a channel goes.

    Attributes:
        address: host and port.
        name: that the tier's certificate must bear, where it is not the address's host.
    """

    address: tuple[str, int]
    name: str | None = None

    def __str__(self) -> str:
        return format_address(self.address)


def open_channel(
    target: Target, credentials: grpc.ChannelCredentials | None, *, max_message_bytes: int
) -> grpc.Channel:
    """Return a channel, which connects when it is first used.

    Args:
        target: where it goes.
        credentials: None for plaintext.
        max_message_bytes: largest message sent or taken, bytes.
    """
    options: list[Option] = channel_options(max_message_bytes)
    if credentials is None:
        return grpc.insecure_channel(str(target), options=options)
    if target.name is not None:
        options.append(("grpc.ssl_target_name_override", target.name))
    return grpc.secure_channel(str(target), credentials, options=options)
