import { type DescFile, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';

/** Serves server reflection, v1 and v1alpha, for these services and every file they depend on. */
export function addReflection(server: Server, services: readonly DescService[]): void {
  const files = new Map<string, Buffer>();
  for (const { file } of services) collect(file, files);
  // The library reads nothing of a package but its descriptor files.
  const everything = { files: { fileDescriptorProtos: [...files.values()] } };
  const packageLike = everything as unknown as ConstructorParameters<typeof ReflectionService>[0];
  new ReflectionService(packageLike, { services: services.map(({ typeName }) => typeName) }).addToServer(
    server,
  );
}

function collect(file: DescFile, files: Map<string, Buffer>): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, Buffer.from(toBinary(FileDescriptorProtoSchema, file.proto)));
  for (const dependency of file.dependencies) collect(dependency, files);
}
