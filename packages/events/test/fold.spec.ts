import { RunSchema, RunState, StepState } from '@agentforge/contracts';
import { toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { foldEvent, foldRun, IllegalTransitionError, type RunRecord, toRun } from '../src/index.js';
import { created, event, RUN } from './histories.js';
import { invariantProblem, legalPayloads } from './random-history.js';

const GRAPHS = [
  created({ a: [], b: ['a'], c: ['a'], d: ['b', 'c'] }),
  created({ a: [] }),
  created({ a: [], b: [], c: ['a', 'b'] }),
];

/** A legal history: which graph, and which of the legal events each time. */
const history = fc.record({
  graph: fc.nat({ max: GRAPHS.length - 1 }),
  choices: fc.array(fc.nat(), { minLength: 1, maxLength: 120, size: 'max' }),
});

function play(
  { graph, choices }: { graph: number; choices: number[] },
  onState: (state: RunRecord) => void = () => undefined,
) {
  const first = GRAPHS[graph] ?? created({ a: [] });
  const events = [first];
  let state = foldRun(undefined, { run: RUN, events }, 1n);
  for (const [index, choice] of choices.entries()) {
    const legal = legalPayloads(state);
    const payload = legal[choice % legal.length];
    if (!payload) break;
    const next = event(payload, index + 2);
    events.push(next);
    state = foldRun(state, { run: RUN, events: [next] }, BigInt(index + 2));
    onState(state);
  }
  return { events, state };
}

const bytesOf = (state: RunRecord) => Buffer.from(toBinary(RunSchema, toRun(state)));

describe('foldRun() on random histories', () => {
  it('accepts every event that the rules allow, and keeps the invariants', () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(history, (choices) => {
        play(choices, (state) => {
          expect(invariantProblem(state)).toBeUndefined();
          reached.add(RunState[state.state]);
          for (const { state: step } of state.steps) reached.add(`step ${StepState[step]}`);
        });
      }),
      { numRuns: 60 },
    );
    const states = (names: object) =>
      Object.values(names).filter((name) => typeof name === 'string' && name !== 'UNSPECIFIED');
    expect([...reached].sort()).toEqual(
      [...states(RunState), ...states(StepState).map((name) => `step ${name}`)].sort(),
    );
  });

  it('is deterministic, in one batch, in many, from scratch or step by step, and changes no earlier state', () => {
    fc.assert(
      fc.property(history, fc.nat(), (choices, cut) => {
        const { events, state } = play(choices);
        const split = 1 + (cut % events.length);
        const head = foldRun(undefined, { run: RUN, events: events.slice(0, split) }, 1n);
        const before = bytesOf(head);
        const tail = events.slice(split);
        const whole = tail.length > 0 ? foldRun(head, { run: RUN, events: tail }, 2n) : head;
        expect(bytesOf({ ...whole, revision: 0n })).toEqual(bytesOf({ ...state, revision: 0n }));
        expect(whole.eventCount).toBe(BigInt(events.length));
        expect(bytesOf(head)).toEqual(before);
      }),
      { numRuns: 40 },
    );
  });

  it('refuses any event that the rules do not allow, and leaves the state as it was', () => {
    fc.assert(
      fc.property(history, history, fc.nat(), (choices, other, pick) => {
        const { state } = play(choices);
        const foreign = play(other).events;
        const candidate = foreign[pick % foreign.length];
        if (!candidate) return;
        const before = bytesOf(state);
        let after: RunRecord | undefined;
        try {
          after = foldEvent(state, RUN, candidate);
        } catch (error) {
          expect(error).toBeInstanceOf(IllegalTransitionError);
          expect(error).toMatchObject({ code: 'FAILED_PRECONDITION' });
        }
        expect(bytesOf(state)).toEqual(before);
        if (after) expect(invariantProblem(after)).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });
});
