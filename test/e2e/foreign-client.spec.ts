import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { GraphSpecSchema } from '@agentforge/contracts';
import { create, toJson } from '@bufbuild/protobuf';
import { LocalSystem } from './local-system.js';
import { smallPipeline } from './pipeline-spec.js';

const script = fileURLToPath(new URL('./reflection_client.py', import.meta.url));

/** A Python that has grpcio and protobuf, or undefined. */
function findPython(): string | undefined {
  return [process.env['FORGE_TEST_PYTHON_GRPC'], 'python3', '/usr/bin/python3'].find((candidate) => {
    if (!candidate) return false;
    try {
      execFileSync(candidate, ['-c', 'import grpc, google.protobuf'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
}

const python = findPython();
if (!python)
  console.warn('SKIPPED: no python3 with grpcio and protobuf (Debian: python3-grpcio, python3-protobuf)');

(python ? describe : describe.skip)('a Python client that knows only the address', () => {
  let system: LocalSystem;

  beforeAll(async () => {
    system = await LocalSystem.start();
  }, 150_000);
  afterAll(() => system.stop(), 60_000);

  const ask = (...args: string[]) =>
    new Promise<unknown[]>((resolve, reject) => {
      execFile(
        python ?? '',
        [script, system.server, ...args],
        { maxBuffer: 64 << 20 },
        (error, stdout, stderr) => {
          if (error) reject(new Error(stderr));
          else
            resolve(
              stdout
                .trim()
                .split('\n')
                .map((line) => JSON.parse(line)),
            );
        },
      );
    });

  it('lists the services', async () => {
    const [services] = (await ask('list')) as string[][];
    expect(services).toEqual(
      expect.arrayContaining([
        'agentforge.pipeline.v1.PipelineService',
        'agentforge.artifacts.v1.ArtifactService',
      ]),
    );
  });

  it('creates and watches a run', async () => {
    const graph = toJson(GraphSpecSchema, create(GraphSpecSchema, await smallPipeline(system)));
    const request = { parent: 'projects/default', runId: 'from-python', graph };
    const [created] = (await ask(
      'call',
      'agentforge.pipeline.v1.PipelineService/CreateRun',
      JSON.stringify(request),
    )) as {
      run: { name: string };
    }[];
    const name = created?.run.name;
    expect(name).toBe('projects/default/runs/from-python');
    const updates = (await ask(
      'call',
      'agentforge.pipeline.v1.PipelineService/WatchRun',
      JSON.stringify({ name }),
    )) as {
      run?: { state: string };
      event?: Record<string, unknown>;
    }[];
    expect(updates[0]?.run?.state).toBeDefined();
    expect(updates.some(({ event }) => event?.['runCompleted'])).toBe(true);
  }, 240_000);

  it('gets a clear error for a run that does not exist', async () => {
    const request = JSON.stringify({ name: 'projects/default/runs/nobody' });
    await expect(ask('call', 'agentforge.pipeline.v1.PipelineService/GetRun', request)).rejects.toThrow(
      'NOT_FOUND',
    );
  });
});
