import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { Readiness, type RunningService } from '../src/index.js';
import { startEcho } from './fixtures/echo-app.js';

const require = createRequire(import.meta.url);
const reflectionFolder = dirname(require.resolve('@grpc/reflection/package.json'));

let service: RunningService;

beforeEach(async () => {
  ({ service } = await startEcho());
});

afterEach(async () => {
  await service.drain('end of test');
});

/** A client as another language would make it: from the published proto file. */
function clientOf(file: string, name: string) {
  let node: unknown = loadPackageDefinition(loadSync(file, { longs: String, enums: String }));
  for (const part of name.split('.')) node = (node as Record<string, unknown>)[part];
  return new (node as ServiceClientConstructor)(service.grpcAddress, credentials.createInsecure());
}

describe('health', () => {
  it('follows the readiness, for the whole and for each service', async () => {
    const client = clientOf(protoPath, 'grpc.health.v1.Health');
    const check = (name: string) =>
      new Promise((resolve, reject) => {
        client['check']?.({ service: name }, (error: Error | null, reply: { status: string }) =>
          error ? reject(error) : resolve(reply.status),
        );
      });
    expect(await check('')).toBe('SERVING');
    expect(await check('fixtures.echo.v1.EchoService')).toBe('SERVING');
    service.get(Readiness).report('nats', false, 'lost');
    expect(await check('')).toBe('NOT_SERVING');
    expect(await check('fixtures.echo.v1.EchoService')).toBe('NOT_SERVING');
    service.get(Readiness).report('nats', true);
    expect(await check('')).toBe('SERVING');
    await expect(check('no.such.Service')).rejects.toMatchObject({ code: 5 });
    client.close();
  });
});

describe('reflection', () => {
  it.each(['v1', 'v1alpha'])('%s lists the services and describes them', async (version) => {
    const file = join(reflectionFolder, `build/proto/grpc/reflection/${version}/reflection.proto`);
    const client = clientOf(file, `grpc.reflection.${version}.ServerReflection`);
    const ask = (request: object) =>
      new Promise<Record<string, Record<string, unknown>>>((resolve, reject) => {
        const stream = client['serverReflectionInfo']?.();
        stream.on('data', resolve);
        stream.on('error', reject);
        stream.write(request);
        stream.end();
      });
    const listed = await ask({ listServices: '' });
    expect(listed['listServicesResponse']?.['service']).toEqual([{ name: 'fixtures.echo.v1.EchoService' }]);
    const described = await ask({ fileContainingSymbol: 'fixtures.echo.v1.EchoService' });
    const files = described['fileDescriptorResponse']?.['fileDescriptorProto'] as Buffer[] | undefined;
    const descriptor = fromBinary(FileDescriptorProtoSchema, files?.[0] ?? new Uint8Array());
    expect(descriptor.service[0]?.method.map(({ name }) => name)).toEqual([
      'Say',
      'Read',
      'Watch',
      'Collect',
      'Chat',
    ]);
    client.close();
  });
});
