"""A gRPC client that knows nothing but an address: learns every contract by server reflection.

Usage: reflection_client.py ADDRESS list
       reflection_client.py ADDRESS call SERVICE/METHOD JSON   (prints one JSON document per response message)

Needs grpcio and protobuf (Debian: python3-grpcio, python3-protobuf).
"""

import json
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format
from google.protobuf import message_factory

REFLECTION = "grpc.reflection.v1.ServerReflection"
DEADLINE_SECONDS = 600


def message_class(pool, name):
    """The Python class of a message of the pool; the factory's API differs between protobuf versions."""
    descriptor = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool).GetPrototype(descriptor)


def reflection_pool():
    """The messages of the reflection service itself (grpc/reflection/v1/reflection.proto), as far as used here."""
    file = descriptor_pb2.FileDescriptorProto(name="reflection.proto", package="r", syntax="proto3")
    text, nested, repeated = 9, 11, 3

    def message(name, *fields):
        entry = file.message_type.add(name=name)
        for number, field, kind, type_name, label in fields:
            entry.field.add(name=field, number=number, type=kind, type_name=type_name, label=label)

    message("Request", (3, "file_by_filename", text, None, 1), (4, "file_containing_symbol", text, None, 1),
            (7, "list_services", text, None, 1))
    message("Files", (1, "file_descriptor_proto", 12, None, repeated))
    message("Service", (1, "name", text, None, 1))
    message("Services", (1, "service", nested, ".r.Service", repeated))
    message("Error", (1, "error_code", 5, None, 1), (2, "error_message", text, None, 1))
    message("Response", (4, "file_descriptor_response", nested, ".r.Files", 1),
            (6, "list_services_response", nested, ".r.Services", 1), (7, "error_response", nested, ".r.Error", 1))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


class Reflection:
    """Asks a server for its contracts."""

    def __init__(self, channel):
        pool = reflection_pool()
        self.request = message_class(pool, "r.Request")
        response = message_class(pool, "r.Response")
        self.stream = channel.stream_stream(
            f"/{REFLECTION}/ServerReflectionInfo",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=response.FromString,
        )
        self.pool = descriptor_pool.DescriptorPool()
        self.loaded = set()

    def ask(self, **question):
        answer = next(iter(self.stream(iter([self.request(**question)]), timeout=30)))
        if answer.HasField("error_response"):
            raise SystemExit(f"reflection: {answer.error_response.error_message}")
        return answer

    def services(self):
        return [service.name for service in self.ask(list_services="*").list_services_response.service]

    def load(self, **question):
        """Adds a file and all it imports to the pool, imports first."""
        files = [descriptor_pb2.FileDescriptorProto.FromString(data)
                 for data in self.ask(**question).file_descriptor_response.file_descriptor_proto]
        known = {file.name: file for file in files}

        def add(file):
            if file.name in self.loaded:
                return
            self.loaded.add(file.name)
            for name in file.dependency:
                if name in known:
                    add(known[name])
                elif name not in self.loaded:
                    self.load(file_by_filename=name)
            self.pool.Add(file)

        for file in files:
            add(file)

    def method(self, path):
        service, name = path.split("/")
        self.load(file_containing_symbol=service)
        return self.pool.FindServiceByName(service).methods_by_name[name]


def call(channel, reflection, path, request):
    method = reflection.method(path)
    request_class = message_class(reflection.pool, method.input_type.full_name)
    response_class = message_class(reflection.pool, method.output_type.full_name)
    proto = descriptor_pb2.MethodDescriptorProto()
    method.CopyToProto(proto)
    kind = channel.unary_stream if proto.server_streaming else channel.unary_unary
    invoke = kind(f"/{path}", request_serializer=lambda m: m.SerializeToString(),
                  response_deserializer=response_class.FromString)
    message = json_format.ParseDict(request, request_class(), descriptor_pool=reflection.pool)
    answer = invoke(message, timeout=DEADLINE_SECONDS)
    for item in answer if proto.server_streaming else [answer]:
        print(json.dumps(json_format.MessageToDict(item, descriptor_pool=reflection.pool)), flush=True)


def main(address, command, *rest):
    with grpc.insecure_channel(address) as channel:
        reflection = Reflection(channel)
        if command == "list":
            print(json.dumps(reflection.services()))
        elif command == "call":
            call(channel, reflection, rest[0], json.loads(rest[1]))
        else:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    try:
        main(*sys.argv[1:])
    except grpc.RpcError as error:
        raise SystemExit(f"{error.code().name}: {error.details()}")
