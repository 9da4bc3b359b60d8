import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CachePolicy, WaitKind } from '@agentforge/contracts';
import { digestOf, pendingRun } from '../src/testing/sample-run.js';
import { forgeOnFake } from './forge-on-fake.js';

const SPEC = `name: test
seed: 3
steps:
  - id: founders
    phase: cognate
    config: { preset: pico }
    inputs:
      corpus: { file: book.txt }
  - id: evolve
    phase: evomerge
    inputs:
      models: { from: founders.models }
      corpus: { file: book.txt }
`;

const { forge, state, folder } = forgeOnFake({ 'spec.yaml': SPEC });

describe('forge quota', () => {
  it('shows limits beside what is used, and sets only those that are named', async () => {
    const before = await forge('quota get');
    expect(before.io.out.text).toMatch(/runs in progress +2 +none/);
    const { code, io } = await forge('--project search quota set --running-runs 4 --artifact-bytes 2GiB');
    expect(code).toBe(0);
    expect(state().calls).toEqual(['quota projects/search/quota max_running_runs,max_artifact_bytes']);
    expect(io.out.text).toMatch(/runs in progress +2 +4/);
    expect(io.out.text).toMatch(/artifacts .*2/);
    expect((await forge('quota set')).code).toBe(2);
    expect((await forge('quota set --artifact-bytes much')).io.err.text).toContain('expected a size');
  });
});

describe('forge run explain', () => {
  const name = 'projects/default/runs/w';

  it('says of each step that waits why, or of one step', async () => {
    state().runs.set(name, pendingRun(name));
    state().waits.set('founders', [
      { kind: WaitKind.RESOURCES, message: 'no pool has free what it asks for' },
      { kind: WaitKind.PAUSED, message: 'the run is paused; resume it' },
    ]);
    const all = await forge('run explain w');
    expect(all.io.out.text).toContain('no pool has free what it asks for');
    expect(all.io.out.text).toContain('the run is paused; resume it');
    expect(all.io.out.text).not.toContain('evolve');
    const one = await forge('run explain w evolve');
    expect(one.io.out.text).toContain('nothing; it runs, has ended, or starts next');
    const json = await forge('run explain w founders -o json');
    expect(JSON.parse(json.io.out.text)).toMatchObject([
      { step: 'founders', waits: [{ kind: 'WAIT_KIND_RESOURCES' }, { kind: 'WAIT_KIND_PAUSED' }] },
    ]);
  });

  it('names the steps when one is unknown, and says when nothing waits', async () => {
    const unknown = await forge('run explain demo evlove');
    expect(unknown.code).toBe(2);
    expect(unknown.io.err.text).toContain('did you mean "evolve"');
    expect((await forge('run explain demo')).io.out.text).toContain('the run has ended: COMPLETED');
  });
});

describe('forge artifact lineage', () => {
  it('draws what an artifact was made from, or nothing beyond it', async () => {
    const digest = digestOf('e');
    const up = await forge(`artifact lineage ${digest}`);
    expect(up.code).toBe(0);
    expect(up.io.out.text.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^\S+ {2}model {2}evolved$/),
      '└─ model default/demo evolve  evomerge 1.0.0 · seed 7',
      expect.stringMatching(/^ {3}├─ models \S+ {2}model {2}founder-reasoning$/),
      expect.stringMatching(/^ {3}└─ models \S+ {2}model {2}founder-memory$/),
    ]);
    const down = await forge(`artifact lineage ${digest} --down`);
    expect(down.io.out.text.trimEnd().split('\n')).toHaveLength(1);
    const json = await forge(`artifact lineage ${digest} --depth 2 -o json`);
    expect(JSON.parse(json.io.out.text).edges).toHaveLength(3);
    expect((await forge(`artifact lineage ${digest} --up --down`)).code).toBe(2);
  });
});

describe('forge run explain --cache', () => {
  it('says whether a step takes an earlier result, and what differs from the nearest', async () => {
    state().cache.set('founders', {
      key: `sha256:${'a'.repeat(64)}`,
      policy: CachePolicy.READ_WRITE,
      message: 'Nothing kept has this key.',
      differences: [{ field: 'config.steps', here: '8', there: '16' }],
    });
    const { code, io } = await forge('run explain w founders --cache');
    expect(code).toBe(0);
    expect(io.out.text).toContain('miss (read-write): Nothing kept has this key.');
    expect(io.out.text).toContain('config.steps: here 8, there 16');
    const json = await forge('run explain w founders --cache -o json');
    expect(JSON.parse(json.io.out.text)).toMatchObject({ policy: 'CACHE_POLICY_READ_WRITE' });
    const all = await forge('run explain w --cache');
    expect(all.code).toBe(2);
    expect(all.io.err.text).toContain('--cache explains one step');
  });
});

describe('forge dlq', () => {
  it('lists letters with a filter made of the options, and shows one with its bytes', async () => {
    const { io } = await forge('dlq list --phase cognate --run demo --reason POISON_TASK');
    expect(io.out.text).toMatch(/17 +tasks +POISON_TASK +cognate +default\/demo founders/);
    expect(state().lastFilter).toBe(
      'phase = "cognate" AND reason = "POISON_TASK" AND run = "projects/default/runs/demo"',
    );
    const json = await forge('dlq list -o json');
    expect(JSON.parse(json.io.out.text)).toMatchObject([
      { sequence: '17', deliveries: 8 },
      { sequence: '9' },
    ]);
    const { io: one } = await forge('dlq show 17');
    expect(one.out.text).toContain('5 workers died of it');
    expect(one.out.text).toContain('6e 6f 74 20 61 20 74 61 73 6b');
    expect((await forge('dlq show 3')).code).toBe(1);
  });

  it('sends and deletes letters, and stops at the first one that is refused', async () => {
    const sent = await forge('dlq redrive 17 -o name');
    expect(sent.io.out.text).toBe('17\n');
    expect(sent.io.err.text).toContain('its step is tried again');
    const refused = await forge('dlq redrive 17 9 17');
    expect(refused.code).toBe(1);
    expect((await forge('dlq delete 9 17')).code).toBe(0);
    expect(state().calls).toEqual(['redrive 17', 'redrive 17', 'delete 9', 'delete 17']);
    expect((await forge('dlq delete everything')).code).toBe(2);
  });
});

describe('forge breaker', () => {
  it('lists phases that are cut off', async () => {
    expect((await forge('breaker list')).io.out.text).toMatch(
      /cognate +open +5 +– +worker "w" has been silent/,
    );
  });
});

describe('forge pool and forge queue', () => {
  it('list what hosts have and who leases it, and what waits', async () => {
    expect((await forge('pool list')).io.out.text).toMatch(
      /host +1\.5 of 4 +1\S* GiB of 8\S* GiB +– +cognate, evomerge +default\.demo\.a\.1, .*c\.1 and 1 more/,
    );
    expect(JSON.parse((await forge('pool list -o json')).io.out.text)[0].leases).toHaveLength(4);
    const { text } = (await forge('queue list')).io.out;
    expect(text).toMatch(/reports +0 +1 +–/);
    expect(text).toMatch(/cognate +12 +0 +1 ?m/);
    expect((await forge('queue list -o name')).io.out.text).toBe('reports\ncognate\n');
  });
});

describe('forge run', () => {
  it('create uploads files once, sends the graph and prints the name', async () => {
    const { code, io } = await forge('run create -f spec.yaml --set seed=9 -o name');
    expect(io.err.text).toBe('');
    expect(code).toBe(0);
    expect(io.out.text).toBe('projects/default/runs/r1\n');
    expect(state().contents.size).toBe(1);
    const [request] = state().created;
    expect(request?.graph?.seed).toBe(9n);
    expect(request?.requestId).toMatch(/^[0-9a-f-]{36}$/);
    const source = request?.graph?.steps[0]?.inputs[0]?.source;
    expect(source?.case === 'artifacts' && source.value.refs[0]).toMatchObject({
      type: 'corpus',
      mediaType: 'text/plain',
    });
  });

  it('create reads a specification from standard input and names the run', async () => {
    const { code } = await forge('run create -f - --run-id mine --project team', { stdin: SPEC });
    expect(code).toBe(0);
    expect(state().created[0]).toMatchObject({ parent: 'projects/team', runId: 'mine', displayName: 'test' });
  });

  it('create shows problems that the server found at their place in the file, with exit code 2', async () => {
    state().violations = [
      { field: 'steps[0].config.preset', description: '"pico" is not available' },
      { field: 'steps[1].inputs[0]', description: 'expects 2 to 16 models' },
    ];
    const { code, io } = await forge('run create -f spec.yaml');
    expect(code).toBe(2);
    expect(io.err.text).toContain('spec.yaml:6:23: error: steps[0].config.preset: "pico" is not available');
    expect(io.err.text).toContain('spec.yaml:12:7: error: steps[1].inputs.models: expects 2 to 16 models');
    expect(io.err.text).toContain('2 problems');
    expect(io.out.text).toBe('');
  });

  it('create names files that do not exist', async () => {
    const { code, io } = await forge(
      'run create -f spec.yaml --set steps.evolve.inputs.corpus.file=nowhere.txt',
    );
    expect(code).toBe(2);
    expect(io.err.text).toMatch(/--set .*nowhere\.txt does not exist/);
    expect(state().created).toHaveLength(0);
  });

  it('create --watch, piped, prints a line per event and then the run', async () => {
    const { code, io } = await forge('run create -f spec.yaml --watch');
    expect(code).toBe(0);
    expect(io.out.text).toContain('founders: started by w1');
    expect(io.out.text).toContain('gate/cognate/loss-margin');
    expect(io.out.text).not.toContain('\u001b');
  });

  it('create --watch, on a terminal, draws and then prints the run', async () => {
    const { code, io } = await forge('run create -f spec.yaml --watch', { isTTY: true });
    expect(code).toBe(0);
    expect(io.out.text).toContain('\u001b[?25l');
    expect(io.out.text).toContain('\u001b[?25h');
  });

  it('create --wait exits with 1 when the run fails, and prints nothing but data on standard output', async () => {
    state().ending = 'failed';
    const { code, io } = await forge('run create -f spec.yaml --wait -o json');
    expect(code).toBe(1);
    expect(JSON.parse(io.out.text)).toMatchObject({ state: 'RUN_STATE_FAILED' });
    expect(io.err.text).toContain('ended as FAILED');
  });

  it('list pages, filters and prints names', async () => {
    for (let index = 0; index < 5; index++) await forge(`run create -f spec.yaml --run-id r${index}`);
    const { io } = await forge('run list --state failed --label team=search --limit 4 -o name');
    expect(io.out.text.trim().split('\n')).toHaveLength(4);
    expect(state().lastFilter).toBe('state = "FAILED" AND labels.team = "search"');
    const wrong = await forge('run list --state FAILD');
    expect(wrong.code).toBe(2);
    expect(wrong.io.err.text).toContain('did you mean "FAILED"?');
  });

  it('list asks for outcomes, times and an order', async () => {
    await forge('run list --outcome failed --since 2026-11-01T01:00:00+01:00 --until 2026-11-02T00:00:00Z');
    expect(state().lastFilter).toBe(
      'outcome = "FAILED" AND create_time >= "2026-11-01T00:00:00.000Z" AND create_time < "2026-11-02T00:00:00.000Z"',
    );
    expect(state().lastOrder).toBe('');
    const before = Date.now();
    await forge([
      'run',
      'list',
      '--ended-since',
      '2h',
      '--ended-until',
      '30m',
      '--order-by',
      'end_time desc',
    ]);
    const times = [...state().lastFilter.matchAll(/end_time (>=|<) "([^"]+)"/g)].map(
      ([, sign, time = '']) => [sign, Math.round((Date.parse(time) - before) / 60_000)],
    );
    expect(times).toEqual([
      ['>=', -120],
      ['<', -30],
    ]);
    expect(state().lastOrder).toBe('end_time desc');
    for (const wrong of ['--outcome lost', '--since yesterday', '--since 5', '--order-by name'])
      expect((await forge(`run list ${wrong}`)).code).toBe(2);
    expect((await forge('run list --since yesterday')).io.err.text).toContain('"yesterday" is no time');
  });

  it('get prints every format', async () => {
    expect((await forge('run get demo')).io.out.text).toContain('founder-reasoning');
    expect(JSON.parse((await forge('run get demo -o json')).io.out.text).name).toBe(
      'projects/default/runs/demo',
    );
    expect((await forge('run get demo -o yaml')).io.out.text).toContain('name: projects/default/runs/demo');
    expect((await forge('run get projects/default/runs/demo -o name')).io.out.text).toBe(
      'projects/default/runs/demo\n',
    );
  });

  it('get of an unknown run exits with 1 and says so', async () => {
    const { code, io } = await forge('run get nobody');
    expect(code).toBe(1);
    expect(io.err.text).toBe('error: projects/default/runs/nobody does not exist (NOT_FOUND)\n');
  });

  it('logs prints events, of one step when asked to', async () => {
    const { io } = await forge('run logs demo --step evolve');
    expect(io.out.text).toContain('evolve: started by w1');
    expect(io.out.text).not.toContain('founders');
    const wrong = await forge('run logs demo --step evolv');
    expect(wrong.io.err.text).toContain('did you mean "evolve"?');
  });

  it('pause, cancel and retry reach the server; what it refuses is shown', async () => {
    await forge('run pause demo');
    await forge('run cancel demo --reason enough');
    await forge('run retry demo --step evolve --set evolve.population=16 --set founders.deep.er=true');
    expect(state().calls).toEqual([
      'pause projects/default/runs/demo',
      'cancel projects/default/runs/demo enough',
      'retry evolve {"evolve":{"population":16},"founders":{"deep":{"er":true}}}',
    ]);
    const resumed = await forge('run resume demo');
    expect(resumed.code).toBe(1);
    expect(resumed.io.err.text).toContain('is not paused (FAILED_PRECONDITION)');
    expect((await forge('run retry demo --set nobody.a=1')).code).toBe(2);
  });
});

describe('forge artifact', () => {
  it('upload, get by the first digits, verify', async () => {
    const uploaded = await forge('artifact upload book.txt -o name');
    expect(uploaded.io.err.text).toBe('');
    const digest = uploaded.io.out.text.trim();
    expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
    const got = await forge(`artifact get ${digest.slice(7, 15)} --to copy.txt`);
    expect(got.code).toBe(0);
    expect(await readFile(join(folder(), 'copy.txt'))).toEqual(await readFile(join(folder(), 'book.txt')));
    expect((await forge(`artifact verify ${digest}`)).code).toBe(0);
  });

  it('uploads count for the project of the option, the specification or the environment', async () => {
    const parents = () => [...state().contents.values()].map(({ parent }) => parent);
    await forge('artifact upload book.txt');
    expect(parents()).toEqual(['projects/default']);
    await forge('--project search artifact upload book.txt --type report');
    expect(parents()).toEqual(['projects/search']);
    await forge('run create -f -', { stdin: `project: team\n${SPEC}` });
    expect(parents()).toEqual(['projects/team']);
    await forge('spec lint spec.yaml --project search');
    expect(parents()).toEqual(['projects/search']);
    await forge('schedule create -f spec.yaml --cron @daily nightly');
    expect(parents()).toEqual(['projects/default']);
    const model = join(folder(), 'model');
    await mkdir(model);
    for (const name of ['config.json', 'model.safetensors', 'tokenizer.json'])
      await writeFile(join(model, name), name);
    const stored = await forge('--project search artifact upload model');
    expect(stored.err).toBe('');
    expect(parents().filter((parent) => parent === 'projects/search')).toHaveLength(4);
    const manifest = [...state().contents.values()].at(-1)?.bytes.toString() ?? '';
    expect(JSON.parse(manifest).files.map(({ path }: { path: string }) => path)).toEqual([
      'config.json',
      'model.safetensors',
      'tokenizer.json',
    ]);
  });

  it('refuses what arrives damaged and leaves no file behind', async () => {
    const digest = (await forge('artifact upload book.txt -o name')).io.out.text.trim();
    state().damaged = true;
    const got = await forge(`artifact get ${digest} --to damaged.txt`);
    expect(got.code).toBe(1);
    expect(got.io.err.text).toContain('DATA_LOSS');
    await expect(readFile(join(folder(), 'damaged.txt'))).rejects.toMatchObject({ code: 'ENOENT' });
    const verified = await forge(`artifact verify ${digest}`);
    expect(verified.code).toBe(1);
    expect(verified.io.out.text).toContain('byte 3 differs');
  });

  it('says when a digest is unknown or none at all', async () => {
    expect((await forge(`artifact get ${digestOf('0')}`)).io.err.text).toContain('NOT_FOUND');
    expect((await forge('artifact get xyz')).code).toBe(2);
    expect((await forge('artifact get 123456')).io.err.text).toContain("no artifact's digest begins with");
  });
});

describe('forge phase, spec, completion', () => {
  it('phase list and describe', async () => {
    expect((await forge('phase list -o name')).io.out.text).toBe('cognate\nevomerge\n');
    expect((await forge('phase describe cognate')).io.out.text).toContain('pico, nano');
    expect((await forge('phase describe cognat')).io.err.text).toContain('there are cognate, evomerge');
  });

  it('spec lint asks the server, and does without it', async () => {
    state().violations = [{ field: 'steps[0].config.preset', description: 'is not valid' }];
    expect((await forge('spec lint spec.yaml')).code).toBe(2);
    const offline = await forge('spec lint spec.yaml --offline');
    expect(offline.code).toBe(0);
    expect(offline.io.out.text).toContain('without a server');
  });

  it('completes commands, options and names of runs', async () => {
    expect((await forge('__complete -- run re')).io.out.text).toBe('resume\nretry\n');
    expect((await forge('__complete -- run create --wa')).io.out.text).toBe('--wait\n--watch\n');
    expect((await forge('__complete -- run get de')).io.out.text).toBe('demo\n');
    expect((await forge('__complete -- phase describe ')).io.out.text).toBe('cognate\nevomerge\n');
    expect((await forge('__complete -- run list -o ')).io.out.text).toBe('json\nname\ntable\nyaml\n');
  });
});
