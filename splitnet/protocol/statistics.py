"""The protocol's messages on what models have done <-> bytes."""

from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.messages import Duration, ModelStatistics
from splitnet.protocol.parsing import from_peer, parse, writes_text


@writes_text
def encode_statistics(models: tuple[ModelStatistics, ...]) -> bytes:
    """Return ModelStatisticsResponse.

    Raises:
        InvalidArgumentError: text that is not Unicode.
    """
    return pb.ModelStatisticsResponse(model_stats=[_to_proto(model) for model in models]).SerializeToString()


@from_peer
def decode_statistics(data: bytes) -> tuple[ModelStatistics, ...]:
    """Read ModelStatisticsResponse.

    Raises:
        PeerProtocolError: `data` is no such message.
    """
    return tuple(_from_proto(model) for model in parse(pb.ModelStatisticsResponse, data).model_stats)


def _to_proto(model: ModelStatistics) -> pb.ModelStatistics:
    return pb.ModelStatistics(
        name=model.name,
        version=model.version,
        last_inference=model.last_inference_ms,
        inference_count=model.inference_count,
        execution_count=model.execution_count,
        inference_stats=pb.InferStatistics(
            success=_duration(model.success),
            fail=_duration(model.fail),
            queue=_duration(model.queue),
            compute_infer=_duration(model.compute_infer),
        ),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=size, compute_infer=_duration(taken))
            for size, taken in sorted(model.batches.items())
        ],
    )


def _from_proto(message: pb.ModelStatistics) -> ModelStatistics:
    inference = message.inference_stats
    return ModelStatistics(
        name=message.name,
        version=message.version,
        last_inference_ms=message.last_inference,
        inference_count=message.inference_count,
        execution_count=message.execution_count,
        success=Duration(inference.success.count, inference.success.ns),
        fail=Duration(inference.fail.count, inference.fail.ns),
        queue=Duration(inference.queue.count, inference.queue.ns),
        compute_infer=Duration(inference.compute_infer.count, inference.compute_infer.ns),
        batches={
            batch.batch_size: Duration(batch.compute_infer.count, batch.compute_infer.ns)
            for batch in message.batch_stats
        },
    )


def _duration(duration: Duration) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=duration.count, ns=duration.ns)
