"""A client that asks a real server finds the services under their public names."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from splitnet.protocol import METHODS, SERVICE_NAME, descriptor_pool
from splitnet.protocol import open_inference_pb2 as pb

_NAMES = (SERVICE_NAME, "grpc.health.v1.Health", reflection.SERVICE_NAME)


@pytest.fixture
def channel() -> Iterator[grpc.Channel]:
    with ThreadPoolExecutor(2) as workers:
        server = grpc.server(workers)
        reflection.enable_server_reflection(_NAMES, server, pool=descriptor_pool())
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as client:
            yield client
        server.stop(None).wait()


def _ask(channel: grpc.Channel, symbol: str) -> list[FileDescriptorProto]:
    request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    (answer,) = stub.ServerReflectionInfo(iter([request]), timeout=10)
    return [FileDescriptorProto.FromString(file) for file in answer.file_descriptor_response.file_descriptor_proto]


@pytest.mark.parametrize("name", _NAMES)
def test_every_service_is_described(channel: grpc.Channel, name: str) -> None:
    files = _ask(channel, name)
    assert name in {f"{file.package}.{service.name}" for file in files for service in file.service}


def test_a_client_can_build_the_service_from_the_answer(channel: grpc.Channel) -> None:
    pool = DescriptorPool()
    for file in _ask(channel, SERVICE_NAME):
        pool.Add(file)
    service = pool.FindServiceByName(SERVICE_NAME)
    assert [method.name for method in service.methods] == [method.name for method in METHODS]
    assert {method.input_type.file.package for method in service.methods} == {"inference"}


def test_the_default_pool_is_left_alone() -> None:
    descriptor_pool()
    with pytest.raises(KeyError):
        pb.DESCRIPTOR.pool.FindFileContainingSymbol(SERVICE_NAME)
