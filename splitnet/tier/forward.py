"""The way up: wire tensors out over a link, the answer of the tiers above back in."""

import logging
from concurrent.futures import Future

from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, PeerProtocolError, SplitNetError, UnavailableError
from splitnet.link import StreamClient
from splitnet.package import Manifest
from splitnet.protocol import InferRequest, InferResponse, ModelName
from splitnet.runtime import Answer, slowed
from splitnet.tensors import Tensors, TensorSpec, batch_size
from splitnet.tier.coding import code
from splitnet.tier.parameters import exits_of, fallbacks_of, request_parameters, timings_of
from splitnet.tiers import TIERS, Tier

logger = logging.getLogger(__name__)

# Kept back at each hop so that the answer of the tier above, its own fallback included, is home in time;
# at most a quarter of what is left, for short deadlines.
_RESERVE_S = 0.05


class Upstream:
    """Sends what stays open at one tier to the next, by the package's plan."""

    def __init__(
        self, link: StreamClient, manifest: Manifest, tier: Tier, *, emulated_speed: float | None = None
    ) -> None:
        """Bind to the wire that leaves `tier`.

        Args:
            link: the open link to the tier above.
            manifest: of the package that both tiers run.
            tier: the tier that sends.
            emulated_speed: code tensors at this fraction of this machine's speed; None at full speed.
        """
        wire = manifest.plan.wire_from(tier)
        if wire is None:
            raise InvalidArgumentError(f"the plan sends nothing on from the {tier}")
        self._link = link
        self._target: Tier = wire.to_tier
        self._model = f"{manifest.model.name}.{wire.to_tier}"
        self._number = manifest.model.version
        self._version = str(manifest.model.version)
        self._plan = manifest.plan.id
        self._wire = wire
        self._emulated_speed = emulated_speed
        self._expected = answers_from(manifest, wire.to_tier)

    def __call__(self, tensors: Tensors, deadline: Deadline) -> "Future[Answer]":
        """Send the open samples; the future ends with their Answer or a SplitNetError."""
        samples = batch_size(self._wire.specs, tensors)
        with slowed(self._emulated_speed):
            sent, tensor_parameters = code(self._wire, tensors)
        reserve_s = min(_RESERVE_S, deadline.remaining_s() / 4)
        request = InferRequest(
            self._model,
            sent,
            self._version,
            parameters=request_parameters(self._plan, deadline.earlier_by(reserve_s)),
            tensor_parameters=tensor_parameters,
        )
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()
        # The reserve covers the way back; the last of it is this tier's own, to answer in time by itself.
        response = self._link.infer(request, deadline.earlier_by(min(0.005, reserve_s)))
        response.add_done_callback(lambda done: self._settle(done, samples, future))
        return future

    def check_offered(self, timeout_s: float) -> None:
        """Ask the tier above whether it answers for this version now.

        Raises:
            UnavailableError: it does not, or cannot be reached.
            DeadlineExceededError: it said nothing within `timeout_s` seconds.
        """
        if not self._link.model_ready(ModelName(self._model, self._version), timeout_s=timeout_s):
            raise UnavailableError(
                f"the {self._target} does not offer version {self._version} of {self._model!r}: "
                "load it there first"
            )

    def _settle(self, response: "Future[InferResponse]", samples: int, future: "Future[Answer]") -> None:
        try:
            answer = self._answer(response.result(), samples)
        except SplitNetError as err:
            future.set_exception(err)
        except Exception as err:  # in a callback nobody else would ever end the request
            logger.exception("an answer of the %s could not be taken", self._target)
            future.set_exception(err)
        else:
            future.set_result(answer)

    def _answer(self, response: InferResponse, samples: int) -> Answer:
        if response.model_version not in ("", self._version):
            raise PeerProtocolError(
                f"the {self._target} answered with version {response.model_version!r}; {self._version!r} was asked"
            )
        try:
            answered = batch_size(self._expected, response.tensors)
        except InvalidArgumentError as err:
            raise PeerProtocolError(f"the {self._target} answered wrongly: {err}") from err
        if self._expected[0].batch_axis is not None and answered != samples:
            raise PeerProtocolError(f"the {self._target} answered {answered} samples; {samples} were sent")
        return Answer(
            response.tensors,
            exits_of(response.parameters, samples, self._target),
            fallbacks_of(response.parameters, samples),
            timings_of(response.parameters, TIERS),
            self._number,
        )


def answers_from(manifest: Manifest, tier: Tier) -> tuple[TensorSpec, ...]:
    """Return those of the model's outputs that `tier` and the tiers above it make."""
    below = TIERS[: TIERS.index(tier)]
    made: set[str] = set()
    for lower in below:
        segment = manifest.segment_of(lower)
        made |= {entry.name for entry in segment.outputs} if segment is not None else set()
    return tuple(entry.to_spec() for entry in manifest.model.outputs if entry.name not in made)
