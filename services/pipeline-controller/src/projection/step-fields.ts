import { StepState } from '@agentforge/contracts';
import type { StepRecord } from '@agentforge/events';
import type { FieldValues } from '../domain/filter.js';

/** Fields of a step that a filter may name. */
export const STEP_FIELDS = { state: 'word', phase: 'text' } as const;

/** Values of a step for a filter. */
export const stepFields = ({ state, spec }: StepRecord): FieldValues => ({
  state: StepState[state] ?? '',
  phase: spec.phase,
});
