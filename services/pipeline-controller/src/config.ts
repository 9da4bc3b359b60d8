import { artifactSettings } from '@agentforge/artifacts';
import {
  type ConfigOf,
  dataSettings,
  defineSettings,
  natsSettings,
  serverSettings,
  setting,
  zDurationMs,
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
});

/** The parsed settings. */
export type Config = ConfigOf<typeof settings>;
