"""gRPC options of both ends of a link, with the reason for each."""

Option = tuple[str, int | str]

# A host that is gone without a word (power, cable, NAT) is found out by a ping every 10 s of which TCP gets no
# acknowledgement for 10 s, not by 15 minutes of retransmissions, or never: its stream holds a thread and a place.
# A ping that TCP acknowledges has gRPC's 60 s to be answered: on a slow link it queues behind tensors.
_PINGS: list[Option] = [("grpc.keepalive_time_ms", 10_000), ("grpc.keepalive_timeout_ms", 10_000)]


def server_options(max_message_bytes: int) -> list[Option]:
    """Return the options of a listening tier."""
    return [
        *_message_bounds(max_message_bytes),
        *_PINGS,
        # Without this a second server binds the same port and silently takes half of the connections.
        ("grpc.so_reuseport", 0),
        # The default punishes more than one ping in 5 minutes on an idle link.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


def channel_options(max_message_bytes: int) -> list[Option]:
    """Return the options of a connection to the tier above."""
    return [
        *_message_bounds(max_message_bytes),
        *_PINGS,
        # The default backoff grows to two minutes; service is to return soon after the link does.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 1_500),
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
