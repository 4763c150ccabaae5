"""A listening tier: gRPC server, health, reflection, and an orderly end."""

import logging
import socket
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from splitnet.config import QuotaConfig, format_address
from splitnet.errors import ConfigError
from splitnet.link.access import Access
from splitnet.link.options import server_options
from splitnet.link.serving.dataplane import DataPlane, ModelRepository
from splitnet.link.serving.gate import Gate
from splitnet.link.serving.inference import Inference
from splitnet.link.serving.intake import Intake
from splitnet.link.serving.limits import Limits
from splitnet.link.serving.models import ModelCalls
from splitnet.link.serving.service import service_handler
from splitnet.link.serving.statistics import Statistics
from splitnet.link.serving.threads import DaemonThreads
from splitnet.protocol import SERVICE_NAME, descriptor_pool
from splitnet.telemetry import Events

logger = logging.getLogger(__name__)

# Threads that none of our streams can take, made when they are needed. Inferences get half of them, so that the
# small calls always find one; a stream of reflection holds one as well, Health's Watch none.
_SPARE_THREADS = 256
# Once all work is answered, how long its last bytes may take; then those who watch health are cut.
_LAST_BYTES_S = 0.5


class TierServer:
    """Serves a DataPlane, and its repository, on one address."""

    def __init__(  # noqa: PLR0913  (each is a setting of its own)
        self,
        dataplane: DataPlane,
        repository: ModelRepository,
        *,
        listen: tuple[str, int],
        max_message_bytes: int,
        default_deadline_ms: float,
        max_streams: int,
        max_in_flight: int,
        tier: str | None = None,
        quota: QuotaConfig = QuotaConfig(),  # noqa: B008  (it is frozen)
        credentials: grpc.ServerCredentials | None = None,
        access: Access | None = None,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
        statistics: Statistics | None = None,
    ) -> None:
        """Bind the address without serving yet; see TierConfig for the limits.

        Args:
            dataplane: what computes.
            repository: of its models.
            listen: host and port; port 0 takes a free one.
            max_message_bytes: largest message taken or sent, bytes.
            default_deadline_ms: the longest that a request may take, milliseconds.
            max_streams: streams open at once.
            max_in_flight: unanswered requests of one stream.
            tier: in whose name answers say how long they took; None says nothing.
            quota: what one client may have under way.
            credentials: TLS, with the client's certificate; None listens in plaintext.
            access: what the names of a certificate may do; None lets everybody do everything but load and unload,
                which `repository.may_change` then decides.
            events: told of each request's end.
            statistics: what ModelStatistics answers with, which listens to the tier's events; without it that call
                is UNIMPLEMENTED.

        Raises:
            ConfigError: the address cannot be bound.
        """
        limits = Limits(
            default_deadline_ms=default_deadline_ms,
            max_streams=max_streams,
            max_calls=_SPARE_THREADS // 2,
            max_in_flight=max_in_flight,
            max_message_bytes=max_message_bytes,
            quota=quota,
        )
        self._intake = Intake(dataplane, limits, tier=tier, access=access, events=events)
        self._inference = Inference(self._intake, limits)
        models = ModelCalls(dataplane, repository, access=access, statistics=statistics)
        threads = max_streams + _SPARE_THREADS
        self._threads = DaemonThreads(threads, name="grpc")
        pool: Any = self._threads  # typed as a ThreadPoolExecutor, while any executor will do
        self._gate = Gate()
        self._server = grpc.server(
            pool,
            options=server_options(max_message_bytes),
            interceptors=[self._gate],
            # As many again may wait for a thread, which whatever is refused gives back at once.
            maximum_concurrent_rpcs=2 * threads,
        )
        self._health = health.HealthServicer()
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self._server.add_generic_rpc_handlers((service_handler(models, self._inference),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        services = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(services, self._server, pool=descriptor_pool())
        try:
            self.address = (listen[0], self._bind(listen, credentials))
        except BaseException:
            self._intake.close()
            raise

    def start(self) -> None:
        """Serve, and say so in health."""
        self._server.start()
        self._set_health(health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float) -> None:
        """Stop: not serving in health, new work refused, what is in flight finished within `grace_s` seconds.

        What is left then is cut, and this returns, about a second later at most. The port is open until then, for
        those who ask after health.
        """
        self._health.enter_graceful_shutdown()
        self._gate.drain()
        self._inference.drain()
        idle = self._inference.wait_idle(grace_s)
        self._server.stop(_LAST_BYTES_S if idle else 0.0).wait(_LAST_BYTES_S + 1.0)
        self._threads.shutdown()
        self._intake.close()

    def _bind(self, listen: tuple[str, int], credentials: grpc.ServerCredentials | None) -> int:
        """Bind the address and return its port."""
        _check_address(listen)
        address = format_address(listen)
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as err:
            raise ConfigError(f"cannot listen on {address}: {err}") from err

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
