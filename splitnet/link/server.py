"""A listening tier: gRPC server, health, reflection, and an orderly end."""

import logging
import socket
from concurrent.futures import ThreadPoolExecutor

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from splitnet.config import format_address
from splitnet.errors import ConfigError
from splitnet.link.dataplane import DataPlane, ModelRepository
from splitnet.link.options import server_options
from splitnet.link.service import Service
from splitnet.protocol import SERVICE_NAME, descriptor_pool

logger = logging.getLogger(__name__)

# Threads that none of our streams can take. Inferences get half of them, so that the small calls always find one;
# a stream of reflection holds one as well, Health's Watch none.
_SPARE_THREADS = 64
# Once all work is answered, how long its last bytes may take before what else is open is cut.
_LAST_BYTES_S = 0.5


class TierServer:
    """Serves a DataPlane, and its repository, on one address."""

    def __init__(
        self,
        dataplane: DataPlane,
        repository: ModelRepository,
        *,
        listen: tuple[str, int],
        max_message_bytes: int,
        default_deadline_ms: float,
        max_streams: int,
        max_in_flight: int,
    ) -> None:
        """Bind the address without serving yet; see TierConfig for the limits.

        Raises:
            ConfigError: the address cannot be bound.
        """
        self._service = Service(
            dataplane,
            repository,
            default_deadline_ms=default_deadline_ms,
            max_streams=max_streams,
            max_calls=_SPARE_THREADS // 2,
            max_in_flight=max_in_flight,
            max_message_bytes=max_message_bytes,
        )
        threads = max_streams + _SPARE_THREADS
        self._server = grpc.server(
            ThreadPoolExecutor(threads, thread_name_prefix="grpc"),
            options=server_options(max_message_bytes),
            # As many again may wait for a thread, which whatever is refused gives back at once.
            maximum_concurrent_rpcs=2 * threads,
        )
        self._health = health.HealthServicer()
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server.add_generic_rpc_handlers((self._service.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server, pool=descriptor_pool())
        _check_address(listen)
        try:
            port = self._server.add_insecure_port(format_address(listen))
        except RuntimeError as err:
            raise ConfigError(f"cannot listen on {format_address(listen)}: {err}") from err
        self.address = (listen[0], port)

    def start(self) -> None:
        """Serve, and say so in health."""
        self._server.start()
        self._set_health(health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float) -> None:
        """Stop: not serving in health, new work refused, what is in flight finished within `grace_s` seconds.

        What is left then is cut, and this returns, about a second later at most.
        """
        self._health.enter_graceful_shutdown()
        self._service.drain()
        stopped = self._server.stop(grace_s)
        if self._service.wait_idle(grace_s) and not stopped.wait(_LAST_BYTES_S):
            # Those who watch health or ask reflection hang up when they please: work is what grace is for.
            stopped = self._server.stop(0)
        stopped.wait(1.0)

    def _set_health(self, status: "health_pb2.HealthCheckResponse.ServingStatus") -> None:
        for name in ("", SERVICE_NAME):
            self._health.set(name, status)


def _check_address(listen: tuple[str, int]) -> None:
    """Bind the address once ourselves: gRPC says only that it cannot, and writes the reason to standard error.

    Raises:
        ConfigError: none of the addresses that the host stands for can be bound.
    """
    try:
        found = socket.getaddrinfo(*listen, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as err:
        raise ConfigError(f"cannot listen on {format_address(listen)}: no such host: {err}") from err
    problem: OSError | None = None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return
        except OSError as err:
            problem = err
    reason = problem.strerror if problem is not None else "no such host"
    raise ConfigError(f"cannot listen on {format_address(listen)}: {reason}") from problem
