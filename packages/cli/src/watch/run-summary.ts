import { type Run, type Step, StepState } from '@agentforge/contracts';
import type { Style } from '../output/style.js';
import { printable } from '../output/width.js';
import { drawRunHead, drawStep } from './run-report.js';
import { isFinal, stepStateName } from './states.js';

/** Runs with more steps are shown by their counts; beyond that a report is longer than anybody reads. */
export const MAX_REPORT_STEPS = 100;
/** States of which a summary names steps, and how many of each. */
export const TELLING_STATES: readonly StepState[] = [
  StepState.FAILED,
  StepState.RUNNING,
  StepState.VALIDATING,
  StepState.READY,
];
export const MAX_TOLD_STEPS = 10;

/** A large run for people: how many steps are in each state, and those that say most. */
export function drawRunSummary(run: Run, told: readonly Step[], style: Style): string {
  const counts = run.stepCounts.map(
    ({ state, count }) => `  ${stepStateName(state).padEnd(12)}${count.toLocaleString('en-US').padStart(9)}`,
  );
  const left = TELLING_STATES.flatMap((state) => {
    const count = (run.stepCounts.find((entry) => entry.state === state)?.count ?? 0) - MAX_TOLD_STEPS;
    return count > 0 ? [`${count.toLocaleString('en-US')} more ${stepStateName(state)}`] : [];
  });
  const id = printable(run.name.slice(run.name.lastIndexOf('/') + 1));
  const waiting = isFinal(run.state) ? '' : `; "forge run explain ${id}" says why steps wait`;
  return [
    ...drawRunHead(run, style),
    '',
    style.bold(`${run.stepCount.toLocaleString('en-US')} steps`),
    ...counts,
    ...told.flatMap((step) => ['', ...drawStep(run, step, [], style)]),
    '',
    ...(left.length > 0 ? [style.dim(`… and ${left.join(', ')}`)] : []),
    style.dim(`"forge run steps ${id}" lists all, "--state FAILED" those that failed${waiting}`),
  ].join('\n');
}
