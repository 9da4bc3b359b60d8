import { setTimeout as sleep } from 'node:timers/promises';
import type { OrchestrationService } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Job } from './fake-worker.js';
import { Fixture, type GraphInit } from './fixture.js';
import { judgements } from './stub-validators.js';

/** The digest of an artifact that nobody reads. */
export const DIGEST = `sha256:${'0'.repeat(64)}`;
/** Three attempts, one after the other. */
export const quick = { maxAttempts: 3, initialInterval: durationFromMs(20), jitter: 0 };
/** A step of the phase that does nothing. */
export const step = (id: string, rest: object = {}) => ({ id, phase: 'noop', ...rest });
/** Two steps, one after the other. */
export const chain: GraphInit = { steps: [step('a'), step('b', { after: ['a'] })] };
/** Works until it is told to stop. */
export const forever = async (job: Job): Promise<void> => {
  await job.start();
  while (job.pushed.length === 0) await sleep(20);
};

/** One orchestrator that all tests of a file share. */
export interface Bench {
  readonly fixture: Fixture;
  readonly client: Client<typeof OrchestrationService>;
  /** Starts a run under a new name. */
  begin(graph: GraphInit): Promise<string>;
  /** After each test: no workers, and validators that accept everything. */
  clear(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts it. */
export async function startBench(): Promise<Bench> {
  const fixture = await Fixture.start();
  const client = fixture.client(await fixture.orchestrator({ FORGE_MAX_ACTIVE_RUNS: '20' }));
  return {
    fixture,
    client,
    begin: async (graph) => {
      const name = fixture.newRun();
      await client.startExecution({ name, graph });
      return name;
    },
    clear: async () => {
      await fixture.dismissWorkers();
      Object.assign(judgements, {
        refuseInputs: '',
        refuseOutputs: '',
        unavailable: 0,
        inputCalls: 0,
        outputCalls: 0,
      });
    },
    stop: () => fixture.stop(),
  };
}
