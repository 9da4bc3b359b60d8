import { artifactSettings } from '@agentforge/artifacts';
import {
  type ConfigOf,
  dataSettings,
  defineSettings,
  serverSettings,
  setting,
} from '@agentforge/service-kit';

const artifacts = artifactSettings();

/** The settings of the validators. */
export const settings = defineSettings({
  ...serverSettings({ grpcPort: 7102, httpPort: 7202 }),
  ...dataSettings(),
  artifactDir: setting(artifacts.artifactDir),
  artifactMaxBytes: setting(artifacts.artifactMaxBytes),
});

/** The parsed settings. */
export type Config = ConfigOf<typeof settings>;
