import type { PhaseDescriptor } from '@agentforge/contracts';

/** The phases that are installed. */
export abstract class PhaseRegistryPort {
  abstract list(): Promise<readonly PhaseDescriptor[]>;
}
