import { artifactSettings } from '@agentforge/artifacts';
import {
  type ConfigOf,
  dataSettings,
  defineSettings,
  natsSettings,
  serverSettings,
  setting,
  zDurationMs,
  zSizeBytes,
} from '@agentforge/service-kit';
import { z } from 'zod';

const artifacts = artifactSettings();

/** The settings of the front door. */
export const settings = defineSettings({
  ...serverSettings({ grpcPort: 7100, httpPort: 7200 }),
  ...natsSettings(),
  ...dataSettings(),
  artifactDir: setting(artifacts.artifactDir),
  artifactMaxBytes: setting(artifacts.artifactMaxBytes),
  orchestratorAddress: setting({
    env: 'FORGE_ORCHESTRATOR_ADDRESS',
    schema: z.string().min(1),
    default: '127.0.0.1:7101',
    description: 'Where the orchestrator serves gRPC',
  }),
  orchestratorTimeoutMs: setting({
    env: 'FORGE_ORCHESTRATOR_TIMEOUT_MS',
    schema: zDurationMs.min(1),
    default: 30_000,
    unit: 'ms',
    description: 'Longest time a call to the orchestrator may take when the caller sets no deadline',
  }),
  snapshotIntervalMs: setting({
    env: 'FORGE_SNAPSHOT_INTERVAL_MS',
    schema: zDurationMs.min(100),
    default: 60_000,
    unit: 'ms',
    description: 'Time between snapshots of the runs that ended, from which the next start goes on',
  }),
  maxMessageBytes: setting({
    env: 'FORGE_MAX_MESSAGE_BYTES',
    schema: zSizeBytes,
    default: 16 * 2 ** 20,
    unit: 'bytes',
    description: 'Largest gRPC message, in either direction: a graph of 10,000 steps has some 5 MB',
  }),
  scheduleTickMs: setting({
    env: 'FORGE_SCHEDULE_TICK_MS',
    schema: zDurationMs.min(10).max(30_000),
    default: 1_000,
    unit: 'ms',
    description: 'Time between looks for schedules that are due',
  }),
});

/** The parsed settings. */
export type Config = ConfigOf<typeof settings>;
