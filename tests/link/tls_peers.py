"""Both ends of a connection with certificates: a plain gRPC server and client, and one that sees TLS itself."""

import queue
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from splitnet.config import TlsConfig
from splitnet.link.access import names_of
from splitnet.link.tls import client_credentials

TIMEOUT_S = 20.0


class Echo(grpc.GenericRpcHandler):
    """Answers a call with the caller's names, and a stream with what it sends."""

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[bytes, bytes]":
        if details.method.endswith("names"):
            return grpc.unary_unary_rpc_method_handler(
                lambda _, context: " ".join(names_of(context.auth_context())).encode()
            )
        return grpc.stream_stream_rpc_method_handler(lambda messages, _: messages)


@contextmanager
def listening(credentials: grpc.ServerCredentials | None) -> Iterator[int]:
    """Serve on a free port of this machine; None is plaintext."""
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        server.add_generic_rpc_handlers((Echo(),))
        port = (
            server.add_insecure_port("127.0.0.1:0")
            if credentials is None
            else server.add_secure_port("127.0.0.1:0", credentials)
        )
        server.start()
        try:
            yield port
        finally:
            server.stop(0).wait()


def channel(port: int, credentials: grpc.ChannelCredentials, *, name: str | None = None) -> Any:
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
    if name is not None:
        options.append(("grpc.ssl_target_name_override", name))
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


def names(port: int, tls: TlsConfig, *, name: str | None = None) -> list[str]:
    """Call over a connection of its own, and return who the server says is calling."""
    with channel(port, client_credentials(tls), name=name) as link:
        said: bytes = link.unary_unary("/t/names")(b"", timeout=TIMEOUT_S, wait_for_ready=False)
        return said.decode().split()


class Stream:
    """A stream that stays open, on which one message at a time goes to and fro."""

    def __init__(self, link: Any) -> None:
        self._sent: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answers: Iterator[bytes] = link.stream_stream("/t/echo")(
            iter(self._sent.get, None), timeout=TIMEOUT_S
        )

    def ask(self, message: bytes) -> bytes:
        self._sent.put(message)
        return next(self._answers)

    def end(self) -> None:
        self._sent.put(None)


def client_context(tls: TlsConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls.directory / "authority.pem")
    context.load_cert_chain(tls.directory / "certificate.pem", tls.directory / "private.key")
    context.set_alpn_protocols(["h2"])
    return context


@contextmanager
def connected(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname="cloud", session=session) as secure,
    ):
        yield secure


def speaks_http(secure: ssl.SSLSocket) -> bool:
    """Whether the server, which has seen the client's certificate by then, goes on to HTTP/2."""
    try:
        secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        return bool(secure.recv(1))
    except (ssl.SSLError, ConnectionError):
        return False
