import type { PhaseDescriptor } from '@agentforge/contracts';

/** The phases that are installed. Answers from memory; kept up to date behind the scenes. */
export abstract class PhaseCatalog {
  abstract get(name: string): PhaseDescriptor | undefined;
  abstract list(): readonly PhaseDescriptor[];
}
