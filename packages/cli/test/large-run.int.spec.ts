import { type Run, RunSchema, RunState, StepState } from '@agentforge/contracts';
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
    expect(out).toContain('… and 180 more that run or failed');
    expect(out).toContain('"forge run steps big" lists all');
    expect(state().calls).toEqual([`basic ${NAME}`]);
    expect(state().stepPages).toEqual([10, 10]);
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
