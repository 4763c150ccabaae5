"""The second kind of target of `splitnet bench`: a tier, or any server of the protocol, as its clients see it."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from pydantic import Field

from splitnet.cli.bench_targets import CONNECT_S, Target, class_output, one_by_one
from splitnet.config import Address, Frozen, LinkConfig, TlsConfig, check_links, format_address
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, UnavailableError
from splitnet.link import DEADLINE_PARAMETER, TierClient, Upstreams
from splitnet.link.tls import client_credentials, diagnose
from splitnet.protocol import (
    MODEL_METADATA,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelName,
    TensorMetadata,
    from_datatype,
)
from splitnet.runtime import Answer
from splitnet.samples import read_samples
from splitnet.tensors import BATCH, TensorSpec
from splitnet.tier.parameters import EXIT, exits_of, fallbacks_of

_MAX_MESSAGE_BYTES = 64 * 2**20


class TierClientConfig(Frozen):
    """How a tier is asked.

    Attributes:
        address: host and port.
        model: a name that it serves, such as "pcb" or "pcb.edge".
        deadline_ms: milliseconds until an answer is due.
        in_flight: most requests under way.
        tls: this machine's certificate; without one the link is plaintext.
        plaintext: whether a link beyond loopback may be plaintext.
    """

    address: Address
    model: str
    deadline_ms: float = Field(1_000.0, gt=0, le=3_600_000)
    in_flight: int = Field(64, ge=1, le=65536)
    tls: TlsConfig | None = None
    plaintext: bool = False


@contextmanager
def tier_target(settings: TierClientConfig, source: Path, limit: int | None) -> Iterator[Target]:
    """Connect to a tier and ask it for one of its models, each sample by itself.

    Raises:
        ConfigError: the link would be plaintext beyond loopback, and nobody asked for that.
        SplitNetError: the tier cannot be reached, does not have the model, or the file does not fit it.
    """
    check_links(None, [settings.address], tls=settings.tls, plaintext=settings.plaintext)
    metadata = _metadata(settings)
    samples = read_samples(source, tuple(_spec(tensor) for tensor in metadata.inputs), limit=limit)
    ready = one_by_one(samples)
    with closing(_link(settings)) as link:
        if not link.wait_until_known(CONNECT_S):
            raise UnavailableError(f"{format_address(settings.address)}: cannot be reached")

        def submit(index: int) -> "Future[Answer]":
            parameters = {DEADLINE_PARAMETER: max(1, int(settings.deadline_ms))}
            request = InferRequest(settings.model, ready[index], parameters=parameters)
            return _answered(link.infer(request, Deadline.after_ms(settings.deadline_ms)))

        predicted = class_output([(tensor.name, tensor.shape) for tensor in metadata.outputs])
        yield Target(submit, samples, predicted, settings.deadline_ms / 1e3)


def _metadata(settings: TierClientConfig) -> ModelMetadata:
    with TierClient(settings.address, tls=settings.tls) as client:
        return client.call(MODEL_METADATA, ModelName(settings.model), timeout_s=CONNECT_S)


def _link(settings: TierClientConfig) -> Upstreams:
    tls = settings.tls
    return Upstreams(
        [settings.address],
        max_message_bytes=_MAX_MESSAGE_BYTES,
        window=settings.in_flight,
        settings=LinkConfig(),
        credentials=partial(client_credentials, tls) if tls is not None else None,
        tls_name=tls.upstream_name if tls is not None else None,
        diagnose=partial(diagnose, tls),
    )


def _spec(tensor: TensorMetadata) -> TensorSpec:
    """Take the open axis for the one that counts samples: the protocol does not say which does."""
    if tensor.shape.count(-1) > 1:
        raise InvalidArgumentError(
            f"input {tensor.name!r} has shape {list(tensor.shape)}: expected one open axis, the samples'"
        )
    shape = tuple(BATCH if size == -1 else size for size in tensor.shape)
    return TensorSpec(tensor.name, from_datatype(tensor.datatype), shape)


def _answered(response: "Future[InferResponse]") -> "Future[Answer]":
    """Turn a promised response into a promised answer."""
    future: Future[Answer] = Future()
    future.set_running_or_notify_cancel()

    def settle(done: "Future[InferResponse]") -> None:
        try:
            future.set_result(_answer(done.result()))
        except BaseException as err:  # noqa: BLE001  (in a callback nobody else would ever end it)
            future.set_exception(err)

    response.add_done_callback(settle)
    return future


def _answer(response: InferResponse) -> Answer:
    said = exits_of(response.parameters, 1, "device") if EXIT in response.parameters else ("",)
    return Answer(response.tensors, said, fallbacks_of(response.parameters, 1))
