"""gRPC options of both ends of a link, with the reason for each."""

Option = tuple[str, int | str]

# A host that is gone without a word (power, cable, NAT) is found out by a ping every 10 s of which TCP gets no
# acknowledgement for 10 s, not by 15 minutes of retransmissions, or never: its stream holds a thread and a place.
# A ping that TCP acknowledges has gRPC's 60 s to be answered: on a slow link it queues behind tensors.
_PINGS: list[Option] = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 10_000)]


# What a caller may put into its headers, bytes: past the first gRPC refuses by chance, past the second always.
_METADATA_BYTES = (8 * 2**10, 16 * 2**10)


# Calls and streams of any kind that one connection may have open; more wait in its caller.
_CALLS_A_CONNECTION = 1024


def server_options(max_message_bytes: int) -> list[Option]:
    """Return the options of a listening tier."""
    return [
        *_message_bounds(max_message_bytes),
        *_PINGS,
        ("grpc.max_metadata_size", _METADATA_BYTES[0]),
        ("grpc.absolute_max_metadata_size", _METADATA_BYTES[1]),
        ("grpc.max_concurrent_streams", _CALLS_A_CONNECTION),
        # Without this a second server binds the same port and silently takes half of the connections.
        ("grpc.so_reuseport", 0),
        # The default punishes more than one ping in 5 minutes on an idle link.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        # Who connects and never ends its TLS handshake holds a file descriptor; gRPC waits two minutes for it.
        ("grpc.server_handshake_timeout_ms", 10_000),
    ]


def channel_options(max_message_bytes: int) -> list[Option]:
    """Return the options of a connection to the tier above.

    None is about connecting again: a channel here is for one connection, and another channel follows it.
    """
    return [
        *_message_bounds(max_message_bytes),
        *_PINGS,
        # Proxies named in the environment are for the web, not for a site's own links.
        ("grpc.enable_http_proxy", 0),
        # One connection a link: a global pool would share it between links with the same address.
        ("grpc.use_local_subchannel_pool", 1),
    ]


def _message_bounds(max_message_bytes: int) -> list[Option]:
    return [
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
    ]
