"""The configuration of each program: one frozen, validated object, read once from TOML and the command line."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from splitnet.config.adaptive import AdaptiveConfig
from splitnet.config.addresses import Address, Addresses, is_loopback
from splitnet.config.answers import CacheConfig
from splitnet.config.frozen import Frozen
from splitnet.config.links import LinkConfig
from splitnet.config.security import AccessRule, TlsConfig
from splitnet.config.serving import BatchingConfig, QuotaConfig

#: How log lines are written: for people, or one JSON object a line.
LogFormat = Literal["text", "json"]


class TierConfig(Frozen):
    """What every tier program has.

    Attributes:
        package: directory of the package (`OUT.split`).
        workers: threads that compute; each runs one request at a time.
        queue_limit: requests that may wait or run at once; past it RESOURCE_EXHAUSTED.
        max_message_bytes: largest message sent or taken, bytes.
        max_batch: most samples in one request.
        deadline_ms: the most that a request may take, milliseconds, whatever longer deadline it states.
        emulated_speed: run segments at this fraction of this machine's speed (an emulation of a
            slower one: the thread sleeps for the rest of the scaled CPU time); None runs at full speed.
        provider: onnxruntime's execution provider, by its short name such as "cpu" or "cuda".
        optimised: directory in which models are kept as optimised for this machine; None keeps none.
        plan_memory_bytes: most weights of plans beyond the default one that stay loaded, bytes.
        tls: this machine's certificate; without one, links are plaintext.
        plaintext: whether links beyond loopback may be plaintext.
        package_key: the public key that packages must be signed with; None takes unsigned ones.
        metrics: where Prometheus reads metrics, by HTTP; None offers none.
        log_format: "text" for people, "json" for one JSON object a line.
    """

    package: Path
    workers: int = Field(1, ge=1, le=256)
    queue_limit: int = Field(256, ge=1, le=65536)
    max_message_bytes: int = Field(64 * 2**20, ge=4096, le=2**30)
    max_batch: int = Field(1024, ge=1, le=65536)
    deadline_ms: float = Field(10_000.0, gt=0, le=3_600_000)
    emulated_speed: float | None = Field(None, gt=0, le=1)
    provider: str = "cpu"
    optimised: Path | None = None
    plan_memory_bytes: int = Field(2**30, ge=0, le=2**40)
    tls: TlsConfig | None = None
    plaintext: bool = False
    package_key: Path | None = None
    metrics: Address | None = None
    log_format: LogFormat = "text"


class CloudConfig(TierConfig):
    """The cloud program.

    Attributes:
        listen: host and port; port 0 takes a free one.
        max_streams: streams open at a time.
        grace_s: how long what is in flight may take after SIGTERM, seconds.
        repository: directory of the packages that a caller may have loaded; None is that of `package`.
        allow_load: whether callers may load and unload versions; None allows it where only this machine is
            listened to, or where an entry of `access` does.
        batching: how requests are computed together.
        quota: what one client may have under way.
        access: which certificates may do what; empty lets every certificate of the site call every model.
    """

    listen: Address
    grace_s: float = Field(10.0, ge=0, le=3600)
    max_streams: int = Field(64, ge=1, le=4096)
    repository: Path | None = None
    allow_load: bool | None = None
    batching: BatchingConfig = BatchingConfig()
    quota: QuotaConfig = QuotaConfig()
    access: tuple[AccessRule, ...] = ()

    @property
    def may_load(self) -> bool:
        """Whether calls to load and unload are taken."""
        if self.allow_load is not None:
            return self.allow_load
        return is_loopback(self.listen[0]) or any(rule.load for rule in self.access)


class EdgeConfig(CloudConfig):
    """The edge program.

    Attributes:
        upstream: the cloud above it, or several that take turns; None answers alone.
        window: requests in flight to the cloud.
        link: how the link to the cloud comes back, and when it is left alone.
        cache: the latest answers.
    """

    upstream: Addresses | None = None
    window: int = Field(64, ge=1, le=4096)
    link: LinkConfig = LinkConfig()
    cache: CacheConfig = CacheConfig()


#: Which samples a full store keeps: the newest, or a uniform draw from all that came.
StorePolicy = Literal["fifo", "reservoir"]


class DeviceConfig(TierConfig):
    """The device program.

    Attributes:
        upstream: the edge above it, or several that take turns; None answers alone.
        window: requests in flight to the edge.
        in_flight: samples of a file under way at a time.
        store: file in which samples are kept to learn from; None keeps none.
        store_limit_bytes: largest size of that file, bytes.
        store_policy: which samples stay when it is full.
        recent: the last so many samples stay in memory, for labels of samples that the store does not hold.
        link: how the link to the edge comes back, and when it is left alone.
        cache: the latest answers, for when nothing else can answer.
        batching: how requests are computed together, and sent up in one message; each by itself unless told.
        adaptive: changing the plan as the link changes.
    """

    upstream: Addresses | None = None
    deadline_ms: float = Field(1_000.0, gt=0, le=3_600_000)
    window: int = Field(64, ge=1, le=4096)
    in_flight: int = Field(8, ge=1, le=4096)
    store: Path | None = None
    store_limit_bytes: int = Field(256 * 2**20, ge=2**20, le=2**40)
    store_policy: StorePolicy = "fifo"
    recent: int = Field(64, ge=0, le=65536)
    link: LinkConfig = LinkConfig()
    cache: CacheConfig = CacheConfig()
    batching: BatchingConfig = BatchingConfig(max_samples=1)
    adaptive: AdaptiveConfig = AdaptiveConfig()

    @model_validator(mode="after")
    def _fits_the_window(self) -> Self:
        most = min(self.window, self.queue_limit)
        if self.in_flight > most:
            raise ValueError(f"in_flight {self.in_flight} is more than window or queue_limit allow ({most})")
        return self
