import { setTimeout as sleep } from 'node:timers/promises';
import {
  EngineStatusService,
  type GraphSpecSchema,
  OrchestrationService,
  PhaseDescriptorSchema,
  type Run,
  RunState,
} from '@agentforge/contracts';
import { type Events, type RunEventInit, toRun } from '@agentforge/events';
import { connectForTest, startNatsServer } from '@agentforge/events/testing';
import { type Client, createClient, createService, type RunningService } from '@agentforge/service-kit';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { AppModule } from '../src/app.module.js';
import { settings } from '../src/config.js';
import { FakeWorker, type Job } from './fake-worker.js';
import { startStubValidators } from './stub-validators.js';

/** A graph as tests write it. */
export type GraphInit = MessageInitShape<typeof GraphSpecSchema>;

type Orchestrator = RunningService<typeof settings>;

/** NATS, validators and orchestrators of a test file, all real except what the validators answer. */
export class Fixture {
  readonly #workers: FakeWorker[] = [];
  readonly #services: RunningService[] = [];
  readonly #clients: { close(): void }[] = [];
  #runs = 0;
  #replicas = 0;

  private constructor(
    readonly nats: Awaited<ReturnType<typeof startNatsServer>>,
    readonly events: Events,
    readonly validatorsAddress: string,
  ) {}

  static async start(): Promise<Fixture> {
    const nats = await startNatsServer();
    const events = await connectForTest(nats.url, { ackWaitMs: 2_000 });
    const validators = await startStubValidators();
    const fixture = new Fixture(nats, events, validators.grpcAddress);
    fixture.#services.push(validators);
    const port = (name: string, artifactType: string) => ({ name, artifactType, minCount: 1, maxCount: 1 });
    const configSchema = {
      type: 'object',
      properties: { n: { type: 'integer', default: 1 }, text: { type: 'string' } },
    };
    await events.phases.put(create(PhaseDescriptorSchema, { name: 'noop', configSchema }));
    await events.phases.put(
      create(PhaseDescriptorSchema, {
        name: 'copy',
        configSchema,
        inputs: [{ ...port('text', 'corpus'), minCount: 0 }],
        outputs: [port('text', 'corpus')],
        fallback: 'empty-text',
      }),
    );
    return fixture;
  }

  async orchestrator(env: NodeJS.ProcessEnv = {}): Promise<Orchestrator> {
    const service = await createService(AppModule, {
      name: 'orchestrator',
      settings,
      env: {
        FORGE_GRPC_PORT: '0',
        FORGE_HTTP_PORT: '0',
        FORGE_LOG_LEVEL: 'silent',
        FORGE_NATS_URL: this.nats.url,
        FORGE_VALIDATORS_ADDRESS: this.validatorsAddress,
        FORGE_ACK_WAIT_MS: '2000',
        FORGE_SWEEP_MS: '50',
        FORGE_TAKEOVER_MS: '1000',
        // Every replica of a test has it: whoever counts the last failure opens a breaker.
        FORGE_BREAKER_OPEN_MS: '1500',
        FORGE_REPLICA: `r${++this.#replicas}`,
        ...env,
      },
    });
    this.#services.push(service);
    return service;
  }

  client(service: Orchestrator): Client<typeof OrchestrationService> {
    const client = createClient(OrchestrationService, service.grpcAddress);
    this.#clients.push(client);
    return client;
  }

  /** What only the engine knows. */
  status(service: Orchestrator): Client<typeof EngineStatusService> {
    const client = createClient(EngineStatusService, service.grpcAddress);
    this.#clients.push(client);
    return client;
  }

  async worker(work: (job: Job) => Promise<void>, phase = 'noop', name?: string): Promise<FakeWorker> {
    const worker = new FakeWorker(this.events, name ?? `w${this.#workers.length}`, work);
    this.#workers.push(await worker.start(phase));
    return worker;
  }

  /** Lets go of the workers of a test. */
  async dismissWorkers(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.stop()));
  }

  newRun(): string {
    return `projects/p/runs/r${++this.#runs}`;
  }

  /** Waits until a run meets a condition, also while NATS is away; fails with the run's state after 15 s. */
  async until(name: string, isMet: (run: Run) => boolean): Promise<Run> {
    let last: Run | undefined;
    for (const end = Date.now() + 15_000; Date.now() < end; await sleep(20)) {
      const record = await this.events.runs.load(name).catch(() => undefined);
      last = record && toRun(record);
      if (last && isMet(last)) return last;
    }
    const steps = last?.steps.map(({ spec, state }) => `${spec?.id}=${state}`).join(' ');
    throw new Error(`${name} is ${RunState[last?.state ?? 0]} (${steps}) after 15 s`);
  }

  untilState(name: string, state: RunState): Promise<Run> {
    return this.until(name, (run) => run.state === state);
  }

  /** Writes events as a replica would that crashes right after. */
  append(run: string, events: RunEventInit[], revision: bigint): Promise<bigint> {
    return this.events.runs.append(run, events, revision);
  }

  /** Names of a run's events. */
  async history(name: string): Promise<string[]> {
    const batches = await this.events.runs.read(name);
    return batches.flatMap(({ events }) => events.map(({ payload }) => payload.case ?? ''));
  }

  async stop(): Promise<void> {
    await this.dismissWorkers();
    for (const client of this.#clients) client.close();
    for (const service of this.#services.reverse()) await service.drain('test');
    await this.events.close();
    await this.nats.stop();
  }
}
