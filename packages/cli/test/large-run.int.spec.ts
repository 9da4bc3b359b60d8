import { AttemptState, type Run, RunSchema, RunState, StepState, WaitKind } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { at, eventUpdate } from '../src/testing/sample-run.js';
import { forgeOnFake } from './forge-on-fake.js';

const NAME = 'projects/default/runs/big';
const COUNT = 10_000;
const idOf = (i: number): string => `s${i}`;

const { forge, state } = forgeOnFake({});

/** A run of 10,000 steps: a hundredth failed, as many run, the rest completed or waits. */
function largeRun(): Run {
  return create(RunSchema, {
    name: NAME,
    displayName: 'big',
    state: RunState.RUNNING,
    createTime: at(0),
    revision: 100n,
    fraction: 0.49,
    graph: { seed: 7n },
    steps: Array.from({ length: COUNT }, (_, i) => ({
      spec: { id: idOf(i), phase: i % 2 ? 'cognate' : 'evomerge', config: { text: 'x'.repeat(50) } },
      state: stateOf(i),
      ...(stateOf(i) === StepState.FAILED ? { failure: { code: 'INTERNAL', message: `broke ${i}` } } : {}),
    })),
  });
}
const stateOf = (i: number): StepState => {
  if (i % 100 === 0) return StepState.FAILED;
  if (i % 100 === 1) return StepState.RUNNING;
  return i < COUNT / 2 ? StepState.COMPLETED : StepState.PENDING;
};

const RUN = largeRun();

/** A run that stands still: 100 steps that wait for others, some in progress, and 20 that could run, in this order. */
function waitingRun(inProgress: number): Run {
  const steps = (word: string, count: number, one: object) =>
    Array.from({ length: count }, (_, i) => ({ spec: { id: `${word}${i}`, phase: 'cognate' }, ...one }));
  const { PENDING, RUNNING, READY } = StepState;
  const { QUEUED, STARTED } = AttemptState;
  return create(RunSchema, {
    name: NAME,
    state: RunState.RUNNING,
    createTime: at(0),
    revision: 100n,
    steps: [
      ...steps('pending', 100, { state: PENDING }),
      ...steps('executing', inProgress, { state: RUNNING, attempts: [{ state: STARTED }] }),
      ...steps('queued', inProgress, { state: RUNNING, attempts: [{ state: QUEUED }] }),
      ...steps('ready', 20, { state: READY }),
    ],
  });
}

beforeEach(() => state().runs.set(NAME, RUN));

describe('forge run steps', () => {
  it('lists every step, page by page', async () => {
    const { code, out } = await forge('run steps big -o name');
    expect(code).toBe(0);
    expect(out.trimEnd().split('\n')).toEqual(Array.from({ length: COUNT }, (_, i) => idOf(i)));
    expect(state().stepPages).toEqual(Array.from({ length: 10 }, () => 1_000));
  });

  it('lists those that match, and says why they failed', async () => {
    const { out } = await forge('run steps big --state failed --page-size 7');
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^STEP +PHASE +STATE +ATTEMPTS +TIME +OUTCOME/);
    expect(lines).toHaveLength(1 + COUNT / 100);
    expect(lines[2]).toMatch(/^s100 +evomerge +FAILED +0 +– +INTERNAL: broke 100/);
    expect(new Set(state().stepPages)).toEqual(new Set([7]));
    const json = JSON.parse((await forge('run steps big --state running -o json')).out);
    expect(json).toHaveLength(COUNT / 100);
    expect(json[3]).toMatchObject({ spec: { id: 's301' }, state: 'STEP_STATE_RUNNING' });
    await forge('run steps big --state failed --phase cognate --filter state=FAILED');
    expect(state().lastFilter).toBe('state = "FAILED" AND phase = "cognate" AND state=FAILED');
  });

  it('names states that it does not know, and refuses pages that nobody serves', async () => {
    expect((await forge('run steps big --state FAILD')).err).toContain('did you mean "FAILED"?');
    expect((await forge('run steps big --page-size 1001')).code).toBe(2);
    expect((await forge('run steps nobody')).code).toBe(1);
  });
});

describe('forge run get of a large run', () => {
  it('asks for counts only, and for the steps that say most', async () => {
    const { code, out } = await forge('run get big');
    expect(code).toBe(0);
    expect(out).toMatch(/RUNNING +big/);
    expect(out).toContain(' · 49 %');
    expect(out).toMatch(/10,000 steps/);
    expect(out).toMatch(/COMPLETED +4,900\n/);
    expect(out).toMatch(/PENDING +4,900\n/);
    expect(out).toContain('INTERNAL: broke 900');
    expect(out).not.toContain('broke 1000');
    expect(out).toContain('… and 90 more FAILED, 90 more RUNNING');
    expect(out).toContain('"forge run steps big" lists all');
    expect(out).toContain('"forge run explain big" says why steps wait');
    expect(state().calls).toEqual([`basic ${NAME}`]);
    expect(state().stepPages).toEqual([10, 10]);
  });

  it('shows steps that could run with what they wait for, and counts the others', async () => {
    state().runs.set(NAME, waitingRun(0));
    for (let i = 0; i < 20; i++)
      state().waits.set(`ready${i}`, [{ kind: WaitKind.RESOURCES, message: `full ${i}` }]);
    const { out } = await forge('run get big');
    expect(out).toMatch(/READY +20\n/);
    expect(out).toContain('… full 9');
    expect(out).not.toContain('full 10');
    expect(out).toContain('… and 10 more READY');
    expect(state().explained).toEqual([]);
  });

  it('says in JSON which steps it has, and where the others are', async () => {
    const { out, err } = await forge('run get big -o json');
    expect(JSON.parse(out).steps).toHaveLength(1_000);
    expect(err).toContain('the first 1000 of 10000 steps; "forge run steps" lists all');
  });

  it('finds steps that are not among the first', async () => {
    expect((await forge('run logs big --step s9999')).code).toBe(0);
    expect((await forge('run logs big --step s99999')).err).toContain('has no step "s99999"');
    await forge('run retry big --set s9999.text=short');
    expect(state().calls.at(-1)).toBe('retry  {"s9999":{"text":"short"}}');
  });
});

describe('forge run explain of a large run', () => {
  const waitFor = (id: string, message: string) =>
    state().waits.set(id, [{ kind: WaitKind.RESOURCES, message }]);

  it('begins with steps that could run, then those that lack a worker, and counts the others', async () => {
    state().runs.set(NAME, waitingRun(5));
    waitFor('ready0', 'no pool has room');
    waitFor('queued4', 'nobody takes the phase');
    waitFor('pending0', 'waits for others');
    waitFor('pending99', 'waits for others too');
    const { code, out, err } = await forge('run explain big -o json');
    expect(code).toBe(0);
    expect(JSON.parse(out).map(({ step }: { step: string }) => step)).toEqual([
      'ready0',
      'queued4',
      'pending0',
    ]);
    expect(err).toContain('75 more steps run or wait and were not asked about');
    // Those of which the list says nothing: 20 + 5 + 25 but two. Those that execute are not asked about.
    expect(state().explained).toHaveLength(48);
    expect(state().explained).not.toContain('executing0');
    expect(state().stepPages).toEqual([50, 1_000, 25]);
  });

  it('does not claim that nothing waits when it has not asked about all', async () => {
    state().runs.set(NAME, waitingRun(5));
    const { out, err } = await forge('run explain big');
    expect(out).toContain('none of the steps that were asked about waits');
    expect(err).toContain('75 more steps');
  });

  it('explains a step that is not among the first', async () => {
    waitFor('s9998', 'waits for s9997');
    expect((await forge('run explain big s9998')).out).toContain('waits for s9997');
    expect(state().explained).toEqual(['s9998']);
  });
});

describe('forge run watch of a large run', () => {
  it('knows every step from the beginning, and misses nothing that happens while it asks', async () => {
    const asked: bigint[] = [];
    state().stories.set(NAME, (afterRevision) => {
      asked.push(afterRevision);
      const run = { ...RUN, state: RunState.FAILED };
      const ended = eventUpdate(9, 102n, { case: 'runFailed', value: {} });
      if (afterRevision === 0n) return [];
      state().runs.set(NAME, run);
      return [eventUpdate(8, 101n, { case: 'stepCompleted', value: { stepId: 's9901' } }), ended];
    });
    const { code, out, err } = await forge('run watch big', { isTTY: true });
    expect(err).toContain('ended as FAILED');
    expect(code).toBe(1);
    expect(asked).toEqual([0n, 100n]);
    expect(state().stepPages.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 1_000));
    // 4,900 completed ones and "s9901"; what runs has told nothing.
    expect(out).toContain('49 %');
    expect(out).toContain('… and 9984 more steps');
    expect(out).toMatch(/10,000 steps/);
  });
});
