import { RunState, StepState } from '@agentforge/contracts';
import type { Style } from '../output/style.js';

/** States in which a run does not change any more (unless it is retried). */
const FINAL: ReadonlySet<RunState> = new Set([RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED]);

/** Whether a run has ended. */
export function isFinal(state: RunState): boolean {
  return FINAL.has(state);
}

/** `RUNNING`, and so on. */
export function runStateName(state: RunState): string {
  return RunState[state] ?? 'UNKNOWN';
}

/** `VALIDATING`, and so on. */
export function stepStateName(state: StepState): string {
  return StepState[state] ?? 'UNKNOWN';
}

/** A run's state in its colour. */
export function paintRunState(state: RunState, style: Style): string {
  const name = runStateName(state);
  if (state === RunState.COMPLETED) return style.green(name);
  if (state === RunState.FAILED) return style.red(name);
  if (state === RunState.RUNNING) return style.cyan(name);
  return style.yellow(name);
}

/** One character for a step's state, in its colour. */
export function stepMark(state: StepState, style: Style): string {
  switch (state) {
    case StepState.COMPLETED:
      return style.green('✔');
    case StepState.FAILED:
      return style.red('✖');
    case StepState.RUNNING:
      return style.cyan('▶');
    case StepState.VALIDATING:
      return style.cyan('◆');
    case StepState.BLOCKED:
    case StepState.CANCELLED:
      return style.yellow('■');
    case StepState.SKIPPED:
      return style.dim('○');
    default:
      return style.dim('·');
  }
}
