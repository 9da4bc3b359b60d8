import { isDeepStrictEqual } from 'node:util';
import { RunState, StepState } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { NAIVE_POLICY, NaiveEngine } from '../../test/naive-engine.js';
import { Story } from '../../test/story.js';

const KINDS = [
  'start',
  'start',
  'succeed',
  'succeed',
  'succeed',
  'fail',
  'fail-for-good',
  'release',
  'wait',
  'wait',
  'pause',
  'resume',
  'cancel',
] as const;
type Move = readonly [(typeof KINDS)[number], number];

/** Cancellations are rare, so that stories get somewhere before. */
const MOVES: fc.Arbitrary<Move[]> = fc.array(
  fc
    .tuple(fc.constantFrom(...KINDS), fc.nat(63))
    .map(([kind, n]): Move => (kind === 'cancel' && n > 8 ? ['succeed', n] : [kind, n])),
  { minLength: 10, maxLength: 80, size: 'max' },
);
/** Edges point from later steps to earlier ones. */
const GRAPHS = fc.array(fc.array(fc.nat(7), { maxLength: 3 }), { minLength: 1, maxLength: 8 });

/** One move in both worlds. What the engine refuses changes nothing there, and must change nothing in the model. */
function move(story: Story, naive: NaiveEngine, [kind, n]: Move, steps: number): void {
  const id = `s${n % steps}`;
  const worlds: Record<Move[0], readonly [real: () => unknown, model: () => void]> = {
    start: [() => story.start(id), () => naive.start(id)],
    succeed: [() => story.succeed(id), () => naive.succeed(id)],
    fail: [() => story.fail(id, 1), () => naive.fail(id, false)],
    'fail-for-good': [() => story.fail(id, 2), () => naive.fail(id, true)],
    release: [() => story.report(id, { case: 'released', value: {} }), () => naive.release(id)],
    wait: [() => story.wait(n * 10), () => naive.wait(n * 10)],
    pause: [() => story.tell({ kind: 'pause' }), () => naive.pause()],
    resume: [() => story.tell({ kind: 'resume' }), () => naive.resume()],
    cancel: [() => story.tell({ kind: 'cancel', reason: '' }), () => naive.cancel()],
  };
  const [real, model] = worlds[kind];
  try {
    real();
  } catch (error) {
    expect(AppError.from(error).code).toBe('FAILED_PRECONDITION');
  }
  model();
}

function summaryOf({ state }: Story) {
  return {
    state: RunState[state?.state ?? RunState.UNSPECIFIED],
    steps: (state?.steps.toArray() ?? []).map(
      ({ spec, state, attempts, failedAttempts }) =>
        `${spec.id} ${StepState[state]} ${attempts.length} ${failedAttempts}`,
    ),
  };
}

/** `toEqual` only for its message: it costs a hundred times the comparison. */
function agree(story: Story, naive: NaiveEngine): void {
  const [actual, expected] = [summaryOf(story), naive.summary()];
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

describe('decide() beside a naive engine', () => {
  it('schedules, ends and blocks the same steps after every move', () => {
    const ends = new Set<string>();
    fc.assert(
      fc.property(GRAPHS, fc.integer({ min: 1, max: 4 }), MOVES, (edges, limit, moves) => {
        const graph = edges.map((targets, i) => ({
          id: `s${i}`,
          after: [...new Set(targets.filter((target) => target < i))].map((target) => `s${target}`),
        }));
        const { maxAttempts, waitMs, heartbeatMs } = NAIVE_POLICY;
        const specs = graph.map((step) => ({
          ...step,
          retry: { maxAttempts, initialInterval: durationFromMs(waitMs), jitter: 0 },
          timeouts: { heartbeat: durationFromMs(heartbeatMs) },
        }));
        const story = Story.of(specs, { maxParallelSteps: limit });
        const naive = new NaiveEngine(graph, limit, story.nowMs);
        agree(story, naive);
        for (const one of moves) {
          move(story, naive, one, edges.length);
          agree(story, naive);
        }
        ends.add(naive.state);
      }),
      { numRuns: 200 },
    );
    expect([...ends].sort()).toEqual(
      expect.arrayContaining(['CANCELLED', 'COMPLETED', 'FAILED', 'PAUSED', 'RUNNING']),
    );
  });
});
