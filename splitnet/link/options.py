"""gRPC options of both ends of a link, with the reason for each."""

Option = tuple[str, int | str]


def server_options(max_message_bytes: int) -> list[Option]:
    """Return the options of a listening tier."""
    return [
        *_message_bounds(max_message_bytes),
        # Without this a second server binds the same port and silently takes half of the connections.
        ("grpc.so_reuseport", 0),
        # Peers ping an idle link to find out that it is dead; the default punishes more than one in 5 minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


def channel_options(max_message_bytes: int) -> list[Option]:
    """Return the options of a connection to the tier above."""
    return [
        *_message_bounds(max_message_bytes),
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
