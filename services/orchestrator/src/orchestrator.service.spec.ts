import {
  GraphSpecSchema,
  type PhaseDescriptor,
  PhaseDescriptorSchema,
  RunCreatedSchema,
  RunEventSchema,
  StartExecutionRequestSchema,
} from '@agentforge/contracts';
import type { AppError, FieldViolation } from '@agentforge/errors';
import { foldRun, type RunRecord } from '@agentforge/events';
import type { Logger } from '@agentforge/telemetry';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Engine } from './engine/engine.js';
import type { EngineInput } from './engine/inputs.js';
import { OrchestratorUseCases } from './orchestrator.service.js';
import { PhaseChecks } from './phase-checks.js';
import type { Capacity } from './ports/capacity.port.js';
import { ConfigChecks } from './ports/config-checks.port.js';
import { PhaseCatalog } from './ports/phase-catalog.port.js';
import { digestOfRequest } from './request-digest.js';

const RUN = 'projects/p/runs/r';
const integer = (rest: object) => ({ type: 'integer', ...rest });
const COUNTING = create(PhaseDescriptorSchema, {
  name: 'counting',
  version: '1',
  configSchema: {
    type: 'object',
    properties: { low: integer({ default: 1, minimum: 0 }), high: integer({ default: 9 }) },
  },
});

class FakeCatalog extends PhaseCatalog {
  get(name: string): PhaseDescriptor | undefined {
    return this.list().find((phase) => phase.name === name);
  }
  list(): readonly PhaseDescriptor[] {
    return [COUNTING];
  }
}

/** A replica of the phase, or nobody. */
class FakePhase extends ConfigChecks {
  isThere = true;
  asked = 0;

  async ask(_: unknown, config: JsonObject): Promise<readonly FieldViolation[] | undefined> {
    this.asked++;
    if (!this.isThere) return undefined;
    const isBad = Number(config['low']) > Number(config['high']);
    return isBad ? [{ field: 'config.low', description: `is above high (${config['high']})` }] : [];
  }
}

const step = (id: string, config: JsonObject = {}, rest: object = {}) => ({
  id,
  phase: 'counting',
  config,
  ...rest,
});
const graphOf = (...steps: ReturnType<typeof step>[]) => create(GraphSpecSchema, { steps });
const requestOf = (...steps: ReturnType<typeof step>[]) =>
  create(StartExecutionRequestSchema, { name: RUN, graph: graphOf(...steps) });

/** A run that was created like this. */
function runOf(value: MessageInitShape<typeof RunCreatedSchema>): RunRecord {
  const payload = { case: 'runCreated' as const, value };
  const event = create(RunEventSchema, { time: timestampFromMs(1), actor: 'test', payload });
  return foldRun(undefined, { run: RUN, events: [event] }, 1n);
}

async function refusal(call: Promise<unknown>): Promise<AppError> {
  try {
    await call;
  } catch (error) {
    return error as AppError;
  }
  throw new Error('the call was accepted');
}

describe('OrchestratorUseCases and rules that span fields', () => {
  let phase: FakePhase;
  let useCases: OrchestratorUseCases;
  let existing: RunRecord | undefined;
  let created: string[];
  let posted: EngineInput[];
  let completed: number;

  beforeEach(() => {
    phase = new FakePhase();
    existing = undefined;
    created = [];
    posted = [];
    completed = 0;
    const engine = {
      stateOf: async () => existing,
      create: async (run: string) => void created.push(run),
      complete: async () => void completed++,
      refresh: async () => undefined,
      retry: async (_: string, input: EngineInput) => void posted.push(input),
    } as unknown as Engine;
    useCases = new OrchestratorUseCases(
      engine,
      new FakeCatalog(),
      { maxSteps: 10, maxGraphBytes: 100_000, maxParallelSteps: 10 },
      { pools: () => [] } as unknown as Capacity,
      new PhaseChecks(phase, { info: () => undefined } as unknown as Logger),
    );
  });

  it('refuse a run with every reason at once, each with its path', async () => {
    const error = await refusal(
      useCases.start(
        requestOf(step('a', { low: 20 }), step('b', { low: -1 }), step('c', {}, { after: ['x'] })),
      ),
    );
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_GRAPH' });
    expect(error.fieldViolations).toEqual([
      { field: 'graph.steps[1].config.low', description: 'is -1; must be >= 0' },
      { field: 'graph.steps[2].after[0]', description: expect.stringContaining('unknown step "x"') },
      { field: 'graph.steps[0].config.low', description: 'is above high (9)' },
    ]);
    expect(created).toEqual([]);
  });

  it('say the same when a graph is only checked', async () => {
    expect(await useCases.validate(graphOf(step('a', { low: 20 })))).toEqual({
      violations: [{ field: 'steps[0].config.low', description: 'is above high (9)' }],
      isOnlyUnimplemented: false,
    });
    expect((await useCases.validate(graphOf(step('a', { low: 5 })))).graph?.steps[0]?.config).toEqual({
      low: 5,
      high: 9,
    });
  });

  it('accept a run when nobody of the phase is there', async () => {
    phase.isThere = false;
    await useCases.start(requestOf(step('a', { low: 20 })));
    expect(created).toEqual([RUN]);
  });

  it('finish creating a run that was accepted before the phase was there', async () => {
    const request = requestOf(step('a', { low: 20 }), step('b'));
    existing = runOf({
      graph: graphOf(step('a', { low: 20 })),
      totalSteps: 2,
      requestDigest: digestOfRequest(request),
    });
    await useCases.start(request);
    expect(completed).toBe(1);
    expect(phase.asked).toBe(0);
  });

  it('refuse the changed configurations of a retry, with every reason at once', async () => {
    existing = runOf({ graph: graphOf(step('a'), step('b')) });
    const error = await refusal(useCases.retry(RUN, ['a', 'b'], { a: { low: 20 }, b: { low: -1 } }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD' });
    expect(error.fieldViolations.map(({ field }) => field)).toEqual([
      'config_overrides["b"].low',
      'config_overrides["a"].low',
    ]);
    expect(posted).toEqual([]);
    await useCases.retry(RUN, ['a'], { a: { low: 2 } });
    expect(posted).toMatchObject([{ kind: 'retry', configOverrides: { a: { low: 2, high: 9 } } }]);
  });
});
