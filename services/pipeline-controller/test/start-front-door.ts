import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PipelineService, WatchRunRequestSchema, WatchRunResponse } from '@agentforge/contracts';
import { attemptIdOf, type Events, type RunEventInit } from '@agentforge/events';
import { connectForTest, startNatsServer } from '@agentforge/events/testing';
import { type Client, createClient, createService, type RunningService } from '@agentforge/service-kit';
import type { DescService, MessageInitShape } from '@bufbuild/protobuf';
import { AppModule } from '../src/app.module.js';
import { settings } from '../src/config.js';
import { startStubOrchestrator } from './stub-orchestrator.js';

/** What happens to a run. */
export type Payload = NonNullable<RunEventInit['payload']>;

/** The project of most tests, and a graph of one step. */
export const parent = 'projects/p';
export const GRAPH = { steps: [{ id: 'a', phase: 'noop' }] };

/** Events that take step "a" of a fresh run, and with it the run, to its end. */
export const complete = (name: string, result: object = { outcome: 'done' }): Payload[] => {
  const attemptId = attemptIdOf(name, 'a', 1);
  return [
    { case: 'stepReady', value: { stepId: 'a' } },
    { case: 'stepScheduled', value: { stepId: 'a', attemptId, number: 1, fencingToken: 1n } },
    { case: 'stepStarted', value: { stepId: 'a', attemptId, worker: 'w' } },
    { case: 'stepReported', value: { stepId: 'a', attemptId, result } },
    { case: 'stepCompleted', value: { stepId: 'a' } },
    { case: 'runCompleted', value: {} },
  ];
};

/** Everything that a watch says until it ends. */
export async function watched(
  client: Client<typeof PipelineService>,
  request: MessageInitShape<typeof WatchRunRequestSchema>,
): Promise<WatchRunResponse[]> {
  const seen: WatchRunResponse[] = [];
  for await (const update of client.watchRun(request)) seen.push(update);
  return seen;
}

/** Front doors of a test: any number of replicas on one NATS server, one artifact folder and one stub of the engine. */
export interface FrontDoors {
  readonly natsUrl: string;
  readonly events: Events;
  /** Starts a replica. @param env  settings that differ from those of tests */
  start(env?: Readonly<Record<string, string>>): Promise<RunningService>;
  /** Stops a replica. */
  stop(service: RunningService): Promise<void>;
  /** A client of a replica; closed at the end. */
  client<S extends DescService>(schema: S, service: RunningService): Client<S>;
  /** Stops everything. */
  end(): Promise<void>;
}

/** Starts what front doors need; none of them yet. */
export async function startFrontDoors(): Promise<FrontDoors> {
  const nats = await startNatsServer();
  const events = await connectForTest(nats.url);
  const directory = await mkdtemp(join(tmpdir(), 'front-door-'));
  const stub = await startStubOrchestrator(events);
  const services = new Set<RunningService>();
  const clients: { close(): void }[] = [];
  const stop = async (service: RunningService): Promise<void> => {
    services.delete(service);
    await service.drain('test');
  };
  return {
    natsUrl: nats.url,
    events,
    async start(env = {}) {
      const service = await createService(AppModule, {
        name: 'pipeline-controller',
        settings,
        env: {
          FORGE_GRPC_PORT: '0',
          FORGE_HTTP_PORT: '0',
          FORGE_LOG_LEVEL: 'silent',
          FORGE_NATS_URL: nats.url,
          FORGE_ARTIFACT_DIR: directory,
          FORGE_ORCHESTRATOR_ADDRESS: stub.grpcAddress,
          ...env,
        },
      });
      services.add(service);
      return service;
    },
    stop,
    client(schema, service) {
      const client = createClient(schema, service.grpcAddress);
      clients.push(client);
      return client;
    },
    async end() {
      for (const client of clients) client.close();
      for (const service of [...services]) await stop(service);
      await stub.drain('test');
      await events.close();
      await nats.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
