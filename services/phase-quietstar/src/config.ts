import { phaseSettings } from '@agentforge/phase-runtime';

/** The settings of this service. */
export const settings = phaseSettings({ grpcPort: 7123, httpPort: 7223 });
