"""The calls that ask about models, and those that change which are loaded."""

from dataclasses import replace

import grpc

from splitnet.deadline import Deadline
from splitnet.errors import PermissionDeniedError, UnimplementedError
from splitnet.link.access import Access, Action
from splitnet.link.serving.clients import client_of
from splitnet.link.serving.dataplane import DataPlane, ModelRepository
from splitnet.link.serving.handlers import await_end
from splitnet.link.serving.statistics import Statistics
from splitnet.link.terms import CANCEL_PARAMETER
from splitnet.protocol import (
    Empty,
    IndexEntry,
    IndexRequest,
    ModelChange,
    ModelConfig,
    ModelMetadata,
    ModelName,
    ModelStatistics,
    ServerMetadata,
)

#: What a server of ours speaks beyond the protocol, whatever its data plane does; Triton's names come first.
EXTENSIONS = ("model_configuration", "statistics", "schedule_policy", CANCEL_PARAMETER)

# A caller of RepositoryModelLoad who states no deadline waits so long; the load itself goes on.
_LONGEST_LOAD_S = 600.0


class ModelCalls:
    """What each of these calls answers; all raise SplitNetError, PermissionDeniedError first."""

    def __init__(
        self,
        dataplane: DataPlane,
        repository: ModelRepository,
        *,
        access: Access | None,
        statistics: Statistics | None,
    ) -> None:
        self._dataplane = dataplane
        self._repository = repository
        self._access = access
        self._statistics = statistics

    def ready(self, _request: Empty, _context: grpc.ServicerContext) -> bool:
        """Answer ServerReady."""
        return self._dataplane.ready()

    def server(self, _request: Empty, _context: grpc.ServicerContext) -> ServerMetadata:
        """Answer ServerMetadata."""
        metadata = self._dataplane.server_metadata()
        return replace(metadata, extensions=tuple(dict.fromkeys((*metadata.extensions, *EXTENSIONS))))

    def model_ready(self, model: ModelName, context: grpc.ServicerContext) -> bool:
        """Answer ModelReady."""
        self._check(context, model.name, "read")
        return self._dataplane.model_ready(model.name, model.version)

    def metadata(self, model: ModelName, context: grpc.ServicerContext) -> ModelMetadata:
        """Answer ModelMetadata."""
        self._check(context, model.name, "read")
        return self._dataplane.model_metadata(model.name, model.version)

    def config(self, model: ModelName, context: grpc.ServicerContext) -> ModelConfig:
        """Answer ModelConfig."""
        self._check(context, model.name, "read")
        return self._dataplane.model_config(model.name, model.version)

    def statistics(self, model: ModelName, context: grpc.ServicerContext) -> tuple[ModelStatistics, ...]:
        """Answer ModelStatistics: of all models and versions that are offered, as far as none is named."""
        counts = self._statistics
        if counts is None:
            raise UnimplementedError("this server keeps no statistics")
        if model.name:
            self._check(context, model.name, "read")
            versions = self._dataplane.model_metadata(model.name, model.version).versions
            return tuple(counts.of(model.name, each) for each in versions if model.version in ("", each))
        entries = self.index(IndexRequest(ready=True), context)
        return tuple(counts.of(entry.name, entry.version) for entry in entries)

    def index(self, request: IndexRequest, context: grpc.ServicerContext) -> tuple[IndexEntry, ...]:
        """Answer RepositoryIndex, of the models that the caller may ask about."""
        entries = self._repository.index(request)
        if self._access is None:
            return entries
        names = client_of(context).names
        return tuple(each for each in entries if self._access.allows(names, model=each.name, action="read"))

    def load(self, change: ModelChange, context: grpc.ServicerContext) -> Empty:
        """Answer RepositoryModelLoad, once it is loaded."""
        self._check_change(change, context)
        left_s: float | None = context.time_remaining()  # None where the caller states no deadline
        patience_s = _LONGEST_LOAD_S if left_s is None else min(left_s, _LONGEST_LOAD_S)
        loaded = self._repository.load(change)
        await_end(loaded, Deadline.after_ms(patience_s * 1e3), context)
        loaded.result()
        return Empty()

    def unload(self, change: ModelChange, context: grpc.ServicerContext) -> Empty:
        """Answer RepositoryModelUnload."""
        self._check_change(change, context)
        self._repository.unload(change)
        return Empty()

    def _check(self, context: grpc.ServicerContext, model: str, action: Action) -> None:
        if self._access is not None:
            self._access.check(client_of(context).names, model=model, action=action)

    def _check_change(self, change: ModelChange, context: grpc.ServicerContext) -> None:
        """Let pass whose certificate, if there are any, may load, where the tier takes such calls at all."""
        self._check(context, change.model, "load")
        if not self._repository.may_change:
            raise PermissionDeniedError(
                "this tier takes no calls to load or unload; set allow_load = true in its configuration"
            )
