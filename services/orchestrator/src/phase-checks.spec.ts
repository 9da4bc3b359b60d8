import type { FieldViolation } from '@agentforge/errors';
import type { Logger } from '@agentforge/telemetry';
import type { JsonObject } from '@bufbuild/protobuf';
import { PhaseChecks } from './phase-checks.js';
import { ConfigChecks } from './ports/config-checks.port.js';

/** Replicas of phases that answer as a test says. */
class FakePhases extends ConfigChecks {
  readonly asked: JsonObject[] = [];
  readonly timeouts: number[] = [];
  open = 0;
  mostOpen = 0;

  constructor(
    private readonly answer: (phase: string, config: JsonObject) => readonly FieldViolation[] | undefined,
  ) {
    super();
  }

  async ask({ name }: { readonly name: string }, config: JsonObject, timeoutMs: number) {
    this.asked.push(config);
    this.timeouts.push(timeoutMs);
    this.mostOpen = Math.max(this.mostOpen, ++this.open);
    await new Promise((resolve) => setImmediate(resolve));
    this.open--;
    return this.answer(name, config);
  }
}

const question = (config: JsonObject, i = 0, name = 'counting', version = '1') => ({
  phase: { name, version },
  config,
  field: `steps[${i}].config`,
});
const many = (count: number, name?: string) =>
  Array.from({ length: count }, (_, i) => question({ i }, i, name));
const lowAboveHigh = { field: 'config.low', description: 'is above high' };

describe('PhaseChecks', () => {
  const lines: unknown[] = [];
  const logger = { info: (...line: unknown[]) => lines.push(line) } as unknown as Logger;
  const checksOf = (phases: ConfigChecks, nowMs?: () => number) => new PhaseChecks(phases, logger, nowMs);

  beforeEach(() => lines.splice(0));

  it('asks once about equal configurations and puts what is refused at every place', async () => {
    const phases = new FakePhases((_, { low }) => (low === 8 ? [lowAboveHigh] : []));
    const questions = [question({ low: 8 }, 0), question({ low: 1 }, 1), question({ low: 8 }, 2)];
    expect(await checksOf(phases).judge(questions)).toEqual([
      { field: 'steps[0].config.low', description: 'is above high' },
      { field: 'steps[2].config.low', description: 'is above high' },
    ]);
    expect(phases.asked).toEqual([{ low: 8 }, { low: 1 }]);
    expect(lines).toEqual([]);
  });

  it('keeps to the configuration, whatever a phase calls the field', async () => {
    const said = ['config', 'config.a', 'config[0]', 'configuration', 'steps[9].id', ''];
    const phases = new FakePhases(() => said.map((field) => ({ field, description: 'x' })));
    const found = await checksOf(phases).judge([question({})]);
    expect(found.map(({ field }) => field)).toEqual(
      ['', '.a', '[0]', '', '', ''].map((rest) => `steps[0].config${rest}`),
    );
  });

  it('remembers what a version accepted, and asks again about what it refused', async () => {
    const phases = new FakePhases((_, { low }) => (low === 8 ? [lowAboveHigh] : []));
    const checks = checksOf(phases);
    for (let i = 0; i < 2; i++) await checks.judge([question({ low: 8 }), question({ low: 1 })]);
    expect(phases.asked).toEqual([{ low: 8 }, { low: 1 }, { low: 8 }]);
    await checks.judge([question({ low: 1 }, 0, 'counting', '2')]);
    expect(phases.asked).toHaveLength(4);
  });

  it('accepts when nobody answers, says so, remembers nothing, and soon stops asking', async () => {
    const phases = new FakePhases(() => undefined);
    const checks = checksOf(phases);
    expect(await checks.judge(many(100))).toEqual([]);
    expect(phases.asked.length).toBeLessThanOrEqual(8);
    expect(lines).toEqual([['config.unchecked', { phase: 'counting', count: 100 }]]);
    const before = phases.asked.length;
    await checks.judge(many(1));
    expect(phases.asked).toHaveLength(before + 1);
  });

  it('hears the other phases while one is silent', async () => {
    const phases = new FakePhases((name) => (name === 'away' ? undefined : [lowAboveHigh]));
    const found = await checksOf(phases).judge([...many(50, 'away'), question({}, 50)]);
    expect(found.map(({ field }) => field)).toEqual(['steps[50].config.low']);
  });

  it('asks a few at once, all within two seconds', async () => {
    let nowMs = 0;
    const phases = new FakePhases(() => {
      nowMs += 40;
      return [];
    });
    expect(await checksOf(phases, () => nowMs).judge(many(200))).toEqual([]);
    expect(phases.mostOpen).toBe(8);
    expect(phases.timeouts[0]).toBe(2_000);
    expect(Math.min(...phases.timeouts)).toBeGreaterThan(0);
    // What was asked within the time, and the ones that were open at its end.
    expect(phases.asked.length).toBeLessThanOrEqual(50 + 8);
    expect(lines).toEqual([['config.unchecked', { phase: 'counting', count: 200 - phases.asked.length }]]);
  });

  it('asks for no more than a caller is told', async () => {
    const phases = new FakePhases(() => Array.from({ length: 50 }, () => lowAboveHigh));
    const found = await checksOf(phases).judge(many(1_000));
    expect(found.length).toBeGreaterThanOrEqual(100);
    expect(phases.asked.length).toBeLessThanOrEqual(16);
  });
});
