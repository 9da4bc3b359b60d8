import type { StepTask } from '@agentforge/contracts';
import { SubtaskOfferSchema, SubtaskRequestSchema } from '@agentforge/contracts';
import type { RunningService } from '@agentforge/service-kit';
import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { PhaseHost } from '../src/index.js';
import { eventually, metricOf, PhaseBench, startedBy } from '../src/testing/index.js';
import { spreadingPhase } from './fixtures/spreading-phase.mjs';

/** Long enough that others get some of it. */
const SPREAD = { batches: 3, count: 12, busy_ms: 40 };

/** 12 bytes times 0 + 1 + … + 35. */
const SUM = 12 * 630;

/** Not over before something happens to it, on any machine. */
const LONG = { batches: 1, count: 300, busy_ms: 30 };

const LONG_SUM = (12 * 300 * 299) / 2;

/** On machines that may be busy: ms. */
const SLOW = 180_000;

type Word = NonNullable<MessageInitShape<typeof SubtaskRequestSchema>['word']>;

let bench: PhaseBench;

beforeEach(async () => {
  // No task is to change its worker here: subtasks do.
  bench = await PhaseBench.open(spreadingPhase, { ackWaitMs: 30_000 });
});

afterEach(async () => {
  await bench.close();
});

async function submit(config: JsonObject = SPREAD): Promise<StepTask> {
  const corpus = await bench.putCorpus('twelve bytes');
  return bench.submit(config, { inputs: [{ port: 'corpus', artifacts: [corpus] }] });
}

const subtasks = (service: RunningService, kind: string, outcome = 'ok') =>
  metricOf(service, 'forge_subtasks_total', { kind, outcome });

const redelivered = (service: RunningService, reason: string) =>
  metricOf(service, 'forge_subtask_redeliveries_total', { reason });

/** Starts the service that executes the task, and, once it has begun, a second one. */
async function startTwo(config: JsonObject = SPREAD, env: Record<string, string> = {}) {
  const owner = await bench.startService();
  const task = await submit(config);
  await bench.report(task, 'started');
  return { owner, task, helper: await bench.startService(env) };
}

async function isHelping(helper: RunningService): Promise<boolean> {
  return (await metricOf(helper, 'forge_subtasks_in_flight')) > 0;
}

async function untilHelping(helper: RunningService): Promise<void> {
  while (!(await isHelping(helper))) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe('a step with subtasks', () => {
  it(
    'is computed by one replica alone, and by two to the same digests',
    async () => {
      const alone = await bench.startService();
      const digests = await bench.digests(await submit());
      expect([await subtasks(alone, 'own'), await subtasks(alone, 'other')]).toEqual([36, 0]);
      expect(await bench.store.readText(digests[0] ?? '')).toBe(`42 ${SUM}`);
      const both = [alone, await bench.startService()];
      const sumOf = async (kind: string) =>
        (await subtasks(both[0] as RunningService, kind)) + (await subtasks(both[1] as RunningService, kind));
      // A machine that has much to do may get its second thread late.
      while ((await sumOf('helped')) < 6) expect(await bench.digests(await submit())).toEqual(digests);
      expect(await sumOf('other')).toBe(await sumOf('helped'));
      expect(await metricOf(alone, 'forge_subtask_wait_seconds_count')).toBeGreaterThan(0);
    },
    SLOW,
  );

  it(
    'takes answers that were computed before, when their key says that they are the same',
    async () => {
      const service = await bench.startService({ FORGE_SUBTASK_CACHE: 'on' });
      const digests = await bench.digests(await submit({ ...SPREAD, keyed: true }));
      expect([await subtasks(service, 'own'), await subtasks(service, 'kept')]).toEqual([36, 0]);
      expect(await bench.digests(await submit({ ...SPREAD, keyed: true }))).toEqual(digests);
      expect([await subtasks(service, 'own'), await subtasks(service, 'kept')]).toEqual([36, 36]);
      const forgetful = await bench.startService({
        FORGE_SUBTASK_CONCURRENCY: '0',
      });
      await service.drain('test');
      expect(await bench.digests(await submit({ ...SPREAD, keyed: true }))).toEqual(digests);
      expect([await subtasks(forgetful, 'own'), await subtasks(forgetful, 'kept')]).toEqual([36, 0]);
    },
    SLOW,
  );

  it.each(['fail', 'lie', 'crash'])(
    'succeeds although helpers %s',
    async (elsewhere) => {
      const services = [await bench.startService(), await bench.startService()];
      const failures = async () => Promise.all(services.map((service) => redelivered(service, 'failed')));
      do {
        const { metrics } = await bench.result(await submit({ ...SPREAD, elsewhere }));
        expect(metrics[0]?.value).toBe(SUM);
      } while (Math.max(...(await failures())) === 0);
    },
    SLOW,
  );

  it(
    'loses nothing when the helper is killed',
    async () => {
      const child = bench.startProcess(new URL('./fixtures/spreading-service.mjs', import.meta.url));
      await bench.report(await submit({ count: 1, busy_ms: 1 }), 'succeeded');
      const owner = await bench.startService();
      const task = await startedBy(owner, bench, () => submit(LONG));
      while ((await subtasks(owner, 'other')) < 5) await new Promise((resolve) => setTimeout(resolve, 10));
      child.kill('SIGKILL');
      expect((await bench.result(task)).metrics[0]?.value).toBe(LONG_SUM);
    },
    SLOW,
  );

  it(
    'does not wait for a helper that is silent, and hears no late answer',
    async () => {
      const held: { session: string; lease: bigint }[] = [];
      const ask = (session: string, word: Word) =>
        bench.events.subtasks.ask(
          'spreading',
          create(SubtaskRequestSchema, { session, worker: 'mute', word }),
        );
      const hearing = bench.events.subtasks.hear('spreading', async ({ session }) => {
        const reply = await ask(session, { case: 'claim', value: {} });
        if (typeof reply === 'object' && reply.word.case === 'subtask')
          held.push({ session, lease: reply.word.value.lease });
      });
      const owner = await bench.startService();
      const task = await submit();
      const late = await eventually(() => held[0]);
      const answer = { case: 'answer' as const, value: { lease: late.lease, json: '{"product":1}' } };
      await eventually(() => bench.kinds(task).includes('succeeded'));
      let reply = await ask(late.session, answer);
      // A question that meets the end of the session gets no answer at all.
      while (reply === undefined) reply = await ask(late.session, answer);
      expect(reply).toBe('nobody');
      expect((await bench.result(task)).metrics[0]?.value).toBe(SUM);
      const again = (await redelivered(owner, 'slow')) + (await redelivered(owner, 'silent'));
      // What is lent when the step ends need not be given to anybody else.
      expect(again).toBeGreaterThan(0);
      expect(again).toBeLessThanOrEqual(held.length);
      hearing.stop();
    },
    SLOW,
  );

  it(
    'cancels what others compute within two seconds',
    async () => {
      const { owner, task, helper } = await startTwo({ batches: 1, count: 8, busy_ms: 60_000 });
      await untilHelping(helper);
      const cancelledAt = performance.now();
      owner.get(PhaseHost).tasks.cancel(task.attemptId);
      await bench.report(task, 'cancelled');
      for (;;) {
        if ((await subtasks(helper, 'helped', 'stopped')) === 1) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect(performance.now() - cancelledAt).toBeLessThan(2000);
    },
    SLOW,
  );

  it(
    'is released although others compute, and goes on where it was',
    async () => {
      const { owner, task, helper } = await startTwo(LONG);
      await untilHelping(helper);
      await owner.drain('test');
      const { checkpoint } = await bench.report(task, 'released');
      const inputs = task.inputs.map(({ port, artifacts }) => ({ port, artifacts }));
      const again = await bench.submit(LONG, { inputs, ...(checkpoint ? { checkpoint } : {}) });
      expect((await bench.result(again)).metrics[0]?.value).toBe(LONG_SUM);
    },
    SLOW,
  );

  it(
    'gets back what a helper computes that drains, or that gets a task of its own',
    async () => {
      const { owner, task, helper } = await startTwo({ ...LONG, busy_ms: 1_000 });
      await untilHelping(helper);
      await bench.report(await submit({ batches: 1, count: 1, busy_ms: 1 }), 'succeeded');
      expect(await redelivered(owner, 'returned')).toBe(1);
      await untilHelping(helper);
      await helper.drain('test');
      expect(await redelivered(owner, 'returned')).toBe(2);
      owner.get(PhaseHost).tasks.cancel(task.attemptId);
      await bench.report(task, 'cancelled');
      expect(await redelivered(owner, 'silent')).toBe(0);
    },
    SLOW,
  );

  it.each([
    ['helps nobody', SPREAD, { FORGE_SUBTASK_CONCURRENCY: '0' }],
    [
      'has too little memory',
      { ...SPREAD, memory_mib: 65 },
      { FORGE_SUBTASK_MEMORY_BYTES: String(64 * 2 ** 20) },
    ],
  ])(
    'is not given to a replica that %s',
    async (_, config, env) => {
      const { owner, task, helper } = await startTwo(config, env);
      await bench.report(task, 'succeeded');
      expect([await subtasks(owner, 'other'), await subtasks(helper, 'helped')]).toEqual([0, 0]);
    },
    SLOW,
  );

  it(
    'survives offers of what is not there, and of what it cannot do',
    async () => {
      const hearing = bench.events.subtasks.hear('spreading', (offer) => {
        if (offer.attemptId === '' || offer.open === 0) return;
        for (const backend of [offer.backend, 'abacus'])
          for (let i = 0; i < 100; i++)
            bench.events.subtasks.offer({ ...offer, attemptId: '', backend, session: `${backend}-${i}` });
      });
      const { owner, task, helper } = await startTwo(LONG);
      while ((await subtasks(helper, 'helped')) === 0)
        await new Promise((resolve) => setTimeout(resolve, 10));
      owner.get(PhaseHost).tasks.cancel(task.attemptId);
      await bench.report(task, 'cancelled');
      hearing.stop();
      const nameless = create(SubtaskOfferSchema, { phase: 'spreading', phaseVersion: '1', backend: 'x' });
      expect(() => bench.events.subtasks.offer(nameless)).toThrow(/no session/);
    },
    SLOW,
  );
});
