import type { RunRecord } from '@agentforge/events';
import { decideCommand } from './decide-command.js';
import { decideReport } from './decide-report.js';
import { decideTimeouts } from './decide-timeouts.js';
import { decideInputsJudged, decideOutputsJudged } from './decide-verdict.js';
import type { DecideContext, EngineInput } from './inputs.js';
import { settle } from './settle.js';
import { Transition } from './transition.js';

/** The events of some inputs, and the inputs that were refused. */
export interface Decision {
  readonly transition: Transition;
  /** By position of the input: why it was refused. Such an input adds no event. */
  readonly refusals: ReadonlyMap<number, unknown>;
}

/**
 * Decides what some inputs, in order, mean for a run. Pure: the same state, inputs and context give the same events,
 * and nothing given is changed.
 * @param state  the fold of the run's log; undefined when there is none
 */
export function decide(
  run: string,
  state: RunRecord | undefined,
  inputs: readonly EngineInput[],
  context: DecideContext,
): Decision {
  const transition = new Transition(run, state, context);
  const refusals = new Map<number, unknown>();
  let isThorough = false;
  inputs.forEach((input, i) => {
    try {
      transition.attempt(() => decideOne(transition, input));
      isThorough ||= needsThoroughness(input);
    } catch (error) {
      refusals.set(i, error);
    }
  });
  if (transition.current !== undefined) settle(transition, isThorough);
  return { transition, refusals };
}

/** Inputs after which every step is looked at, not only those next to a change. */
const needsThoroughness = (input: EngineInput): boolean =>
  input.kind === 'create' ||
  input.kind === 'add-steps' ||
  input.kind === 'retry' ||
  (input.kind === 'tick' && input.isThorough);

function decideOne(transition: Transition, input: EngineInput): void {
  switch (input.kind) {
    case 'create':
    case 'add-steps':
    case 'pause':
    case 'resume':
    case 'cancel':
    case 'retry':
      decideCommand(transition, input);
      return;
    case 'report':
      decideReport(transition, input.report);
      return;
    case 'inputs-judged':
      decideInputsJudged(transition, input);
      return;
    case 'outputs-judged':
      decideOutputsJudged(transition, input);
      return;
    case 'cache-answered':
      return;
    case 'tick':
      decideTimeouts(transition);
      return;
    default:
      input satisfies never;
  }
}
