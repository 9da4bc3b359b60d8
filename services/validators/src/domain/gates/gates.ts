import { COGNATE_GATES } from './cognate.js';
import { EVOMERGE_GATES } from './evomerge.js';
import type { Gate } from './gate.js';
import { QUIETSTAR_GATES } from './quietstar.js';

/** Every quality gate, in the order of the phases. */
export const GATES: readonly Gate[] = [...COGNATE_GATES, ...EVOMERGE_GATES, ...QUIETSTAR_GATES];

/** The gates of a phase. */
export function gatesOf(phase: string): readonly Gate[] {
  return GATES.filter((gate) => gate.phase === phase);
}
