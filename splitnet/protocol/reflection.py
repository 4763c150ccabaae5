"""Descriptors for gRPC reflection, which must show the service under its public name."""

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from splitnet.protocol import open_inference_pb2
from splitnet.protocol.services import SERVICE_NAME

_PACKAGE = SERVICE_NAME.rpartition(".")[0]


def descriptor_pool() -> DescriptorPool:
    """Return a pool that describes the inference, health and reflection services.

    It is not protobuf's default pool: another module of `package inference` in this process is no collision.
    Pass it to `grpc_reflection.v1alpha.reflection.enable_server_reflection`.
    """
    pool = DescriptorPool()
    pool.AddSerializedFile(_published().SerializeToString())
    for module in (health_pb2, reflection_pb2):
        pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
    return pool


def _published() -> FileDescriptorProto:
    """Return our file as the protocol publishes it: in its package, and with its type names."""
    file = FileDescriptorProto()
    open_inference_pb2.DESCRIPTOR.CopyToProto(file)
    own, file.package, file.name = file.package, _PACKAGE, "open_inference.proto"
    for message in file.message_type:
        _rename(message, own)
    for service in file.service:
        for method in service.method:
            method.input_type = _renamed(method.input_type, own)
            method.output_type = _renamed(method.output_type, own)
    return file


def _rename(message: DescriptorProto, own: str) -> None:
    for field in message.field:
        if field.type_name:
            field.type_name = _renamed(field.type_name, own)
    for nested in message.nested_type:
        _rename(nested, own)


def _renamed(type_name: str, own: str) -> str:
    return f".{_PACKAGE}.{type_name.removeprefix(f'.{own}.')}"
