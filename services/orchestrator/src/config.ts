import { artifactSettings } from '@agentforge/artifacts';
import {
  type ConfigOf,
  defineSettings,
  natsSettings,
  serverSettings,
  setting,
  zDurationMs,
  zSizeBytes,
} from '@agentforge/service-kit';
import { z } from 'zod';

const artifacts = artifactSettings();
const zCount = z.coerce.number().int().min(1);

/** The settings of the orchestrator. */
export const settings = defineSettings({
  ...serverSettings({ grpcPort: 7101, httpPort: 7201 }),
  ...natsSettings(),
  validatorsAddress: setting({
    env: 'FORGE_VALIDATORS_ADDRESS',
    schema: z.string().min(1),
    default: '127.0.0.1:7102',
    description: 'Where the validators serve gRPC',
  }),
  validationTimeoutMs: setting({
    env: 'FORGE_VALIDATION_TIMEOUT_MS',
    schema: zDurationMs.min(1),
    default: 300_000,
    unit: 'ms',
    description: 'Longest time one judgement may take',
  }),
  replica: setting({
    env: 'FORGE_REPLICA',
    schema: z.string().max(100),
    default: '',
    description:
      'Name of this replica, written into the events that it decides; empty means host and process id',
  }),
  ackWaitMs: setting({
    env: 'FORGE_ACK_WAIT_MS',
    schema: zDurationMs.min(100),
    default: 5_000,
    unit: 'ms',
    description: 'Silence of a consumer after which its message is delivered again',
  }),
  sweepMs: setting({
    env: 'FORGE_SWEEP_MS',
    schema: zDurationMs.min(10).max(2_000),
    default: 500,
    unit: 'ms',
    description: 'Time between looks for timeouts, retries and work that a crash left undone; at most 2 s',
  }),
  takeoverMs: setting({
    env: 'FORGE_TAKEOVER_MS',
    schema: zDurationMs.min(100),
    default: 5_000,
    unit: 'ms',
    description: 'Silence of a run after which another replica looks after it',
  }),
  maxActiveRuns: setting({
    env: 'FORGE_MAX_ACTIVE_RUNS',
    schema: zCount,
    default: 1_000,
    unit: 'runs',
    description: 'Runs that have not ended; more are refused with RESOURCE_EXHAUSTED',
  }),
  maxSteps: setting({
    env: 'FORGE_MAX_STEPS',
    schema: zCount.max(10_000),
    default: 10_000,
    unit: 'steps',
    description: 'Most steps of a graph',
  }),
  maxGraphBytes: setting({
    env: 'FORGE_MAX_GRAPH_BYTES',
    schema: zSizeBytes,
    default: 12 * 2 ** 20,
    unit: 'bytes',
    description: 'Largest graph, with defaults filled in; less than FORGE_MAX_MESSAGE_BYTES',
  }),
  defaultParallelSteps: setting({
    env: 'FORGE_DEFAULT_PARALLEL_STEPS',
    schema: zCount.max(1_000),
    default: 64,
    unit: 'steps',
    description: 'Steps of a run that are executed at once when its graph does not say',
  }),
  maxParallelSteps: setting({
    env: 'FORGE_MAX_PARALLEL_STEPS',
    schema: zCount,
    default: 1_000,
    unit: 'steps',
    description: 'Most steps of a run that a graph may ask to be executed at once',
  }),
  breakerFailures: setting({
    env: 'FORGE_BREAKER_FAILURES',
    schema: z.coerce.number().int().min(0).max(1_000),
    default: 5,
    unit: 'failures',
    description:
      'Failures in a row of a phase, of workers and passing ones, that open its breaker; 0 for never',
  }),
  breakerOpenMs: setting({
    env: 'FORGE_BREAKER_OPEN_MS',
    schema: zDurationMs.min(10),
    default: 60_000,
    unit: 'ms',
    description: 'Time that an open breaker keeps steps from its phase; then one attempt at a time passes',
  }),
  breakerSuccesses: setting({
    env: 'FORGE_BREAKER_SUCCESSES',
    schema: zCount.max(100),
    default: 2,
    unit: 'successes',
    description: 'Successes in a row that close a breaker which lets attempts pass one at a time',
  }),
  leaseMs: setting({
    env: 'FORGE_LEASE_MS',
    schema: zDurationMs.min(1_000),
    default: 30_000,
    unit: 'ms',
    description: 'Life of a lease of resources that no replica renews',
  }),
  patienceMs: setting({
    env: 'FORGE_LEASE_PATIENCE_MS',
    schema: zDurationMs.min(0),
    default: 60_000,
    unit: 'ms',
    description:
      'How long a step that asks for much may be passed by smaller ones before resources are set aside for it',
  }),
  unclaimedTaskMs: setting({
    env: 'FORGE_UNCLAIMED_TASK_MS',
    schema: zDurationMs.min(100),
    default: 600_000,
    unit: 'ms',
    description: 'Age at which a task of a phase that nobody registered becomes a dead letter',
  }),
  stepCache: setting({
    env: 'FORGE_STEP_CACHE',
    schema: z.enum(['off', 'read-write']),
    default: 'off',
    description: 'What "cache" means for steps that do not say: off, or read-write to reuse earlier results',
  }),
  artifactDir: setting(artifacts.artifactDir),
  artifactMaxBytes: setting(artifacts.artifactMaxBytes),
  snapshotIntervalMs: setting({
    env: 'FORGE_SNAPSHOT_INTERVAL_MS',
    schema: zDurationMs.min(100),
    default: 60_000,
    unit: 'ms',
    description: 'Time between notes of the runs that go on, from which the next start goes on',
  }),
  maxMessageBytes: setting({
    env: 'FORGE_MAX_MESSAGE_BYTES',
    schema: zSizeBytes,
    default: 16 * 2 ** 20,
    unit: 'bytes',
    description: 'Largest gRPC message, in either direction: a graph of 10,000 steps has some 5 MB',
  }),
});

/** The parsed settings. */
export type Config = ConfigOf<typeof settings>;
