import { phaseSettings } from '@agentforge/phase-runtime';

/** The settings of this service. */
export const settings = phaseSettings({ grpcPort: 7121, httpPort: 7221 });
