import { PipelineService, RunState } from '@agentforge/contracts';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Server, ServerCredentials, type ServiceDefinition, status } from '@grpc/grpc-js';
import type { Wishes } from './graphs.mjs';
import { Load } from './load.mjs';
import { randomOf } from './random.mjs';

const NAME = 'projects/chaos/runs/r1';

type Answer = (error: object | null, value?: object) => void;
type Stream = { write(value: object): void };

/** A front door that knows one run, and does to it what it is told; every call is noted. */
class FakeFrontDoor {
  readonly calls: string[] = [];
  /** Codes with which the next calls of a method fail. */
  readonly failures = new Map<string, number[]>();
  address = '';
  onCreated = (): void => undefined;
  #server = new Server();
  #revision = 1n;
  #tell = (_: object | undefined): void => undefined;

  async start(): Promise<this> {
    const methods = Object.entries(PipelineService.method);
    const definition = methods.map(([name, { input, output, methodKind }]) => [
      name,
      {
        path: `/${PipelineService.typeName}/${name[0]?.toUpperCase()}${name.slice(1)}`,
        requestStream: false,
        responseStream: methodKind === 'server_streaming',
        requestSerialize: () => Buffer.alloc(0),
        requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes),
        responseSerialize: (value: object) => Buffer.from(toBinary(output, create(output, value))),
        responseDeserialize: () => undefined,
      },
    ]);
    const handlers = methods.map(([name, { methodKind }]) => [
      name,
      methodKind === 'unary'
        ? (_: unknown, answer: Answer) => this.#answer(name, answer)
        : (call: Stream) => this.#watch(call),
    ]);
    this.#server.addService(
      Object.fromEntries(definition) as ServiceDefinition,
      Object.fromEntries(handlers),
    );
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, at) =>
        error ? reject(error) : resolve(at),
      );
    });
    this.address = `127.0.0.1:${port}`;
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  #answer(name: string, answer: Answer): void {
    this.calls.push(name);
    const code = this.failures.get(name)?.shift();
    if (code !== undefined) {
      answer({ code, details: `${name} went wrong` });
      return;
    }
    if (name === 'createRun') this.onCreated();
    answer(null, {
      run: { name: NAME, state: RunState.RUNNING },
      phases: [{ name: 'probe' }],
    });
    const event = { pauseRun: 'runPaused', resumeRun: 'runResumed', cancelRun: 'runCancelled' }[name];
    if (event !== undefined) this.#tell({ payload: { case: event, value: {} } });
  }

  #watch(call: Stream): void {
    const send = (update: object) => call.write({ update, revision: ++this.#revision });
    this.#tell = (value) => send({ case: 'event', value });
    send({ case: 'run', value: { name: NAME, state: RunState.RUNNING } });
  }
}

describe('Load', () => {
  let door: FakeFrontDoor;

  beforeEach(async () => {
    door = await new FakeFrontDoor().start();
  });
  afterEach(() => door.stop());

  /** One user with one run, which ends when it is cancelled. */
  async function live(wishes: Wishes): Promise<Load> {
    const stop = new AbortController();
    door.onCreated = () => stop.abort();
    const load = new Load(door.address, randomOf('1', 'test'), { wishesOf: () => wishes });
    await load.run(1, stop.signal, AbortSignal.timeout(10_000));
    return load;
  }

  it('pauses a run, resumes it once it is seen to be paused, cancels it, and says what it asked for', async () => {
    const load = await live({ pause: { afterMs: 50, forMs: 50 }, cancelAfterMs: 600 });
    expect(door.calls.slice(1)).toEqual(['createRun', 'pauseRun', 'resumeRun', 'cancelRun']);
    const [run] = load.accepted;
    for (const commands of [run?.asked, run?.answered])
      expect([...(commands ?? [])]).toEqual(['pauseRun', 'resumeRun', 'cancelRun']);
    expect([...load.ended]).toEqual([NAME]);
    expect(load.surprises.size).toBe(0);
  }, 20_000);

  it('asks again after an error that a fault explains, and takes no for an answer', async () => {
    door.failures.set('cancelRun', [status.ABORTED, status.RESOURCE_EXHAUSTED]);
    door.failures.set('pauseRun', [status.FAILED_PRECONDITION]);
    const load = await live({ pause: { afterMs: 10, forMs: 10 }, cancelAfterMs: 20 });
    expect(door.calls.filter((call) => call === 'cancelRun').length).toBeGreaterThan(2);
    expect(door.calls.filter((call) => call === 'pauseRun')).toHaveLength(1);
    expect([...(load.accepted[0]?.asked ?? [])].sort()).toEqual(['cancelRun', 'pauseRun']);
    expect([...(load.accepted[0]?.answered ?? [])]).toEqual(['cancelRun']);
    expect(load.surprises.size).toBe(0);
  }, 20_000);

  it.each(['INTERNAL', 'DATA_LOSS', 'ALREADY_EXISTS', 'INVALID_ARGUMENT', 'FAILED_PRECONDITION'] as const)(
    'keeps %s of a creation, with how often it came',
    async (code) => {
      door.failures.set('createRun', [status[code], status[code]]);
      const load = await live({ cancelAfterMs: 10 });
      expect([...load.surprises.values()]).toMatchObject([{ call: 'createRun', code, times: 2 }]);
    },
    20_000,
  );
});
