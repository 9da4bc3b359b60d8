import type { PhaseDefinition } from '@agentforge/phase-runtime';

export const probePhase: PhaseDefinition;
