"""The way up: wire tensors out over a link, the answer of the tiers above back in."""

import logging
from concurrent.futures import Future

import numpy as np

from splitnet.deadline import Deadline
from splitnet.errors import (
    InvalidArgumentError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
    UnimplementedError,
)
from splitnet.link import Link
from splitnet.package import Manifest, PlanEntry
from splitnet.protocol import InferRequest, InferResponse, ModelName, Parameter
from splitnet.runtime import Answer, slowed
from splitnet.telemetry import is_request_id, log_standing, new_request_id
from splitnet.tensors import Tensors, TensorSpec, batch_size
from splitnet.tier.chained import Chained
from splitnet.tier.coding import CODING, TensorParameters, code
from splitnet.tier.parameters import (
    KEPT,
    PROBE,
    WAY_UP,
    exits_of,
    fallbacks_of,
    queue_times_of,
    request_parameters,
    timings_of,
)
from splitnet.tiers import TIERS, Tier

logger = logging.getLogger(__name__)

# Kept back at each hop so that the answer of the tier above, its own fallback included, is home in time;
# at most a quarter of what is left, for short deadlines.
_RESERVE_S = 0.05

# The last of the reserve is this tier's own, to answer in time by itself.
_OWN_S = 0.005

# TCP's window grows with what it carries: a first 800 KB over 40 ms of delay took half a second, the next a tenth.
# On a slow link what is sent for nothing must be little.
_WARM_SAMPLES, _MOST_WARM_BYTES = 4, 2**17


class Upstream:
    """Sends what stays open at one tier to the next, by one plan of a package."""

    def __init__(
        self,
        link: Link,
        manifest: Manifest,
        tier: Tier,
        *,
        plan: PlanEntry | None = None,
        emulated_speed: float | None = None,
    ) -> None:
        """Bind to the wire that leaves `tier`.

        Args:
            link: the open link to the tier above.
            manifest: of the package that both tiers run.
            tier: the tier that sends.
            plan: of that package; None for the default one.
            emulated_speed: code tensors at this fraction of this machine's speed; None at full speed.
        """
        plan = plan if plan is not None else manifest.plan
        wire = plan.wire_from(tier)
        if wire is None:
            raise InvalidArgumentError(f"the plan sends nothing on from the {tier}")
        self._link = link
        self._target: Tier = wire.to_tier
        self._model = manifest.model_name(wire.to_tier, plan)
        self._number = manifest.model.version
        self._version = str(manifest.model.version)
        self._plan = plan.id
        self._wire = wire
        self._specs = wire.specs
        self._emulated_speed = emulated_speed
        self._expected = answers_from(manifest, wire.to_tier, plan)

    def __call__(
        self, tensors: Tensors, deadline: Deadline, *, request_id: str = "", priority: int = 0
    ) -> "Future[Answer]":
        """Send the open samples; the future ends with their Answer or a SplitNetError.

        Whoever no longer wants the answer cancels the future: the tier above is told where it understands that.

        Args:
            tensors: of the wire, by name.
            deadline: by when this tier is to answer; the tier above is given less.
            request_id: what the request is called on the tiers below; another client's way of naming stays there.
            priority: as it came; 0 for none.
        """
        samples = batch_size(self._specs, tensors)
        sent, tensor_parameters = self._coded(tensors)
        reserve_s = min(_RESERVE_S, deadline.remaining_s() / 4)
        own_id = request_id if is_request_id(request_id) else new_request_id()
        if request_id and own_id != request_id:
            log_standing(own_id, [request_id])
        request = InferRequest(
            self._model,
            sent,
            self._version,
            id=own_id,
            parameters=request_parameters(self._plan, deadline.earlier_by(reserve_s), priority),
            tensor_parameters=tensor_parameters,
        )
        response = self._link.infer(request, deadline.earlier_by(min(_OWN_S, reserve_s)))
        return Chained(response, lambda answered: self._answer(answered, samples))

    @property
    def connected(self) -> bool:
        """Whether the tier above is reached now."""
        return self._link.connected

    def check_offered(self, timeout_s: float) -> None:
        """Ask the tier above whether it answers for this version and plan now.

        Raises:
            UnavailableError: it does not, or cannot be reached.
            DeadlineExceededError: it said nothing within `timeout_s` seconds.
        """
        if not self.is_offered(timeout_s):
            raise UnavailableError(
                f"the {self._target} does not offer version {self._version} of {self._model!r}: "
                "load it there first"
            )

    def is_offered(self, timeout_s: float) -> bool:
        """Return whether the tier above answers for this version and plan now; if not, it may begin to load them.

        Raises:
            UnavailableError: it cannot be reached.
            DeadlineExceededError: it said nothing within `timeout_s` seconds.
        """
        return self._link.model_ready(ModelName(self._model, self._version), timeout_s=timeout_s)

    def probe(self, nbytes: int, timeout_s: float, *, asks: bool = False) -> bool | None:
        """Send so many bytes that mean nothing, and wait until the tier above has had them.

        Args:
            nbytes: how many.
            timeout_s: how long that may take, seconds.
            asks: whether a request by this plan would find all that it needs, there and above.

        Returns:
            What it says to that; None where it says nothing, or was not asked.

        Raises:
            UnimplementedError: it does not say that it takes such.
            UnavailableError: it cannot be reached.
            DeadlineExceededError: it said nothing within `timeout_s` seconds.
        """
        if not self._link.supports(PROBE):
            raise UnimplementedError(f"the {self._target} takes no probes")
        nothing = {"probe": np.zeros(nbytes, np.uint8)}
        parameters: dict[str, Parameter] = {PROBE: True, WAY_UP: True} if asks else {PROBE: True}
        request = InferRequest(self._model, nothing, self._version, id=new_request_id(), parameters=parameters)
        answer = self._link.infer(request, Deadline.after_ms(timeout_s * 1e3)).result()
        said = answer.parameters.get(WAY_UP)
        return said if isinstance(said, bool) else None

    def warm_up(self, timeout_s: float) -> None:
        """Send what a few samples take, so that the first of them meet a connection that has picked up speed.

        Does nothing where the tier above is not there, or takes no probes; waits at most `timeout_s` seconds.
        """
        until = Deadline.after_ms(timeout_s * 1e3)
        if not self._link.wait_until_known(timeout_s):
            return
        try:
            self.probe(min(_WARM_SAMPLES * int(self._wire.sample_bytes), _MOST_WARM_BYTES), until.remaining_s())
        except SplitNetError as err:
            logger.debug("the link to the %s is not warm: %s", self._target, err)

    def _coded(self, tensors: Tensors) -> tuple[Tensors, TensorParameters]:
        """Code tensors for a tier above that says it decodes them; as long as it has not, they are plain."""
        if not self._link.supports(CODING):
            return tensors, {}
        with slowed(self._emulated_speed):
            return code(self._wire, tensors)

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
            timings_of(response.parameters),
            self._number,
            queue_ms=queue_times_of(response.parameters),
            is_kept=response.parameters.get(KEPT) is True,
        )


def answers_from(manifest: Manifest, tier: Tier, plan: PlanEntry | None = None) -> tuple[TensorSpec, ...]:
    """Return those of the model's outputs that `tier` and the tiers above it make by `plan`, the default one."""
    below = TIERS[: TIERS.index(tier)]
    made: set[str] = set()
    for lower in below:
        segment = manifest.segment_of(lower, plan)
        made |= {entry.name for entry in segment.outputs} if segment is not None else set()
    return tuple(entry.to_spec() for entry in manifest.model.outputs if entry.name not in made)
