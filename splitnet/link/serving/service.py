"""The upper end of a link: GRPCInferenceService, every method with what answers it."""

from collections.abc import Callable
from typing import Any

import grpc

from splitnet.link.serving import refused_calls
from splitnet.link.serving.handlers import handler_of, handler_of_bytes
from splitnet.link.serving.inference import Inference
from splitnet.link.serving.models import ModelCalls
from splitnet.link.serving.streaming import stream_handler
from splitnet.protocol import (
    MODEL_CONFIG,
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STATISTICS,
    MODEL_STREAM_INFER,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    SERVER_LIVE,
    SERVER_METADATA,
    SERVER_READY,
    SERVICE_NAME,
    Method,
)


def service_handler(models: ModelCalls, inference: Inference) -> grpc.GenericRpcHandler:
    """Return the handler to register with a grpc.Server."""
    unary: list[tuple[Method[Any, Any], Callable[[Any, grpc.ServicerContext], Any]]] = [
        (SERVER_LIVE, lambda _request, _context: True),
        (SERVER_READY, models.ready),
        (MODEL_READY, models.model_ready),
        (SERVER_METADATA, models.server),
        (MODEL_METADATA, models.metadata),
        (MODEL_CONFIG, models.config),
        (MODEL_STATISTICS, models.statistics),
        (REPOSITORY_INDEX, models.index),
        (REPOSITORY_MODEL_LOAD, models.load),
        (REPOSITORY_MODEL_UNLOAD, models.unload),
    ]
    methods = {method.name: handler_of(method, call) for method, call in unary}
    methods[MODEL_INFER.name] = handler_of_bytes(MODEL_INFER.name, inference.call)
    methods |= {name: handler_of_bytes(name, call) for name, call in refused_calls.answers().items()}
    methods[MODEL_STREAM_INFER.name] = stream_handler(inference.stream)
    return grpc.method_handlers_generic_handler(SERVICE_NAME, methods)
