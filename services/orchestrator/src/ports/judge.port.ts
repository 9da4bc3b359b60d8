import type { PhaseDescriptor, ResolvedInput, StepResult, Verdict } from '@agentforge/contracts';
import type { JsonObject } from '@bufbuild/protobuf';

/** What a step is about to read. */
export interface InputsToJudge {
  readonly phase: PhaseDescriptor;
  readonly config: JsonObject;
  readonly inputs: readonly ResolvedInput[];
}

/** What a step delivered. */
export interface OutputsToJudge extends InputsToJudge {
  readonly result: StepResult;
}

/** Judges artifacts. Errors with code UNAVAILABLE and the like are worth another try; verdicts are not errors. */
export abstract class Judge {
  abstract judgeInputs(subject: InputsToJudge): Promise<readonly Verdict[]>;
  abstract judgeOutputs(subject: OutputsToJudge): Promise<readonly Verdict[]>;
}
