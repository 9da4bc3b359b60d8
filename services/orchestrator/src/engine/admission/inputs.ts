import type { StepRecord } from '@agentforge/events';

/** Artifacts are judged before a step reads them; a step that reads none is not. */
export function inputsGate(step: StepRecord, areAccepted: boolean): 'check-inputs' | undefined {
  return step.spec.inputs.length > 0 && !areAccepted ? 'check-inputs' : undefined;
}
