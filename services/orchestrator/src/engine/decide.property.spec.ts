import { RunState, StepState } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { countIn, isTerminalRun } from '@agentforge/events';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { Story } from '../../test/story.js';
import { MAX_BATCH_EVENTS } from './transition.js';

/** One thing that happens to a run; the number chooses a step. */
type Move = readonly [
  (
    | 'start'
    | 'succeed'
    | 'fail'
    | 'fail-for-good'
    | 'release'
    | 'cancelled'
    | 'late'
    | 'pause'
    | 'resume'
    | 'cancel'
    | 'retry'
    | 'wait'
  ),
  number,
];

const MOVES: fc.Arbitrary<Move> = fc.tuple(
  fc.constantFrom(
    'start',
    'succeed',
    'fail',
    'fail-for-good',
    'release',
    'cancelled',
    'late',
    'pause',
    'resume',
    'cancel',
    'retry',
    'wait',
  ),
  fc.nat(7),
) as fc.Arbitrary<Move>;

/** Edges point from later steps to earlier ones, so every graph is acyclic. */
const GRAPHS = fc.array(fc.array(fc.nat(7), { maxLength: 3 }), { minLength: 1, maxLength: 8 });

const ALLOWED = new Set(['FAILED_PRECONDITION', 'NOT_FOUND', 'INVALID_ARGUMENT']);

function storyOf(edges: readonly number[][], maxParallelSteps: number): Story {
  const steps = edges.map((targets, i) => ({
    id: `s${i}`,
    after: [...new Set(targets.filter((target) => target < i))].map((target) => `s${target}`),
    retry: { maxAttempts: 2, initialInterval: durationFromMs(100), jitter: 0 },
    timeouts: { heartbeat: durationFromMs(1_000) },
  }));
  return Story.of(steps, { maxParallelSteps });
}

function move(story: Story, [what, n]: Move, steps: number): void {
  const id = `s${n % steps}`;
  switch (what) {
    case 'start':
      story.start(id);
      return;
    case 'succeed':
      story.succeed(id);
      return;
    case 'fail':
      story.fail(id);
      return;
    case 'fail-for-good':
      story.fail(id, 2);
      return;
    case 'release':
      story.report(id, { case: 'released', value: { checkpoint: { digest: `c${n}` } } });
      return;
    case 'cancelled':
      story.report(id, { case: 'cancelled', value: {} });
      return;
    case 'late':
      story.succeed(id, { fencingToken: 0n });
      return;
    case 'wait':
      story.wait(n * 200);
      return;
    case 'cancel':
      story.tell({ kind: 'cancel', reason: '' });
      return;
    case 'retry':
      story.tell({ kind: 'retry', stepIds: [id], configOverrides: {} });
      return;
    default:
      story.tell({ kind: what });
  }
}

describe('decide(), whatever happens', () => {
  it('writes only legal histories, keeps its limits, and ends every run when workers do their part', () => {
    fc.assert(
      fc.property(
        GRAPHS,
        fc.integer({ min: 1, max: 4 }),
        fc.array(MOVES, { maxLength: 60 }),
        (edges, limit, moves) => {
          const story = storyOf(edges, limit);
          for (const one of moves) {
            const before = story.log.length;
            try {
              move(story, one, edges.length);
            } catch (error) {
              expect(ALLOWED).toContain(AppError.from(error).code);
            }
            expect(story.log.length - before).toBeLessThanOrEqual(MAX_BATCH_EVENTS);
            if (story.state) expect(countIn(story.state, StepState.RUNNING)).toBeLessThanOrEqual(limit);
          }
          finish(story, edges.length);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('decides the same twice', () => {
    fc.assert(
      fc.property(GRAPHS, fc.array(MOVES, { maxLength: 30 }), (edges, moves) => {
        const tell = () => {
          const story = storyOf(edges, 2);
          for (const one of moves)
            try {
              move(story, one, edges.length);
            } catch {
              // refused moves add nothing
            }
          return story.log;
        };
        expect(tell()).toEqual(tell());
      }),
      { numRuns: 50 },
    );
  });
});

/** Workers take every attempt and succeed, until the run has ended. */
function finish(story: Story, steps: number): void {
  if (story.state?.state === RunState.PAUSED) story.tell({ kind: 'resume' });
  for (let round = 0; round < 4 * steps + 4; round++) {
    for (let i = 0; i < steps; i++) {
      if (story.step(`s${i}`).state !== StepState.RUNNING) continue;
      const worker = story.step(`s${i}`).attempts.at(-1)?.worker || 'w9';
      story.start(`s${i}`, { worker });
      story.succeed(`s${i}`, { worker });
    }
    story.wait(500);
  }
  expect(isTerminalRun(story.state?.state ?? RunState.UNSPECIFIED)).toBe(true);
}
