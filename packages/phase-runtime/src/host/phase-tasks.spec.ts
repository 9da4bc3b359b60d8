import { StepTaskSchema, TaskAction, TaskDirectiveSchema } from '@agentforge/contracts';
import { AttemptOverError, type DeliveredTask, type Events } from '@agentforge/events';
import { createLogger, createMetrics } from '@agentforge/telemetry';
import { create, type JsonObject } from '@bufbuild/protobuf';
import { z } from 'zod';
import { definePhase } from '../definition/phase-definition.js';
import { PhaseTasks } from './phase-tasks.js';
import type { RuntimeOptions } from './runtime-options.js';

const phase = definePhase({
  name: 'scripted',
  version: '1',
  summary: 'Waits until it is told to stop.',
  inputs: [],
  outputs: [],
  config: z.strictObject({ mode: z.string().default('poll') }),
  metrics: [],
  estimate: () => ({ memoryBytes: 0, parameters: 0, flop: 0 }),
  startToCloseMs: 60_000,
  workerUrl: new URL('../../test/fixtures/scripted.worker.mjs', import.meta.url),
});

const OPTIONS: RuntimeOptions = {
  workerId: 'w',
  artifactDirectory: '',
  device: 'cpu' as const,
  backend: 'cpu-none',
  subtaskConcurrency: 1,
  keepsAnswers: false,
  subtaskMemoryBytes: 2 ** 20,
  concurrency: 2,
  tasksPerThread: 1,
  threads: 1,
  heartbeatMs: 10,
  checkpointIntervalMs: 1_000,
  grace: { abortMs: 5_000, releaseMs: 5_000 },
  ackWaitMs: 1_000,
};

const task = create(StepTaskSchema, {
  run: 'projects/p/runs/r',
  stepId: 's',
  attemptId: 'a',
  phase: 'scripted',
});

/** A queue that delivers what the test says. */
function queue() {
  const reports: (string | undefined)[] = [];
  const answers = { action: TaskAction.CONTINUE };
  let deliver: (delivered: DeliveredTask) => Promise<void> = async () => undefined;
  const events = {
    tasks: {
      consume: async (_: string, handler: typeof deliver) => {
        deliver = handler;
        return { stopPulling: async () => undefined, finished: async () => undefined };
      },
    },
    reports: {
      publish: async (_: string, report: { payload: { case?: string } }) =>
        void reports.push(report.payload.case),
    },
    directives: {
      watch: () => ({ stop: () => undefined }),
      heartbeat: async () => create(TaskDirectiveSchema, { attemptId: 'a', action: answers.action }),
    },
    checkpoints: { get: async () => undefined },
    progress: { publish: () => undefined },
    subtasks: { hear: () => ({ stop: () => undefined }) },
  } as unknown as Events;
  const again = (delivery: number, config: JsonObject = {}) =>
    deliver({ task: { ...task, config }, delivery } as DeliveredTask);
  return { events, reports, answers, again };
}

describe('PhaseTasks', () => {
  it('executes a task once although it is delivered again meanwhile, and ends both deliveries with it', async () => {
    const { events, reports, answers, again } = queue();
    const log = createLogger({ service: 'test', level: 'silent' });
    const tasks = new PhaseTasks(phase, OPTIONS, log, createMetrics('test'));
    await tasks.start(events);
    const first = again(1);
    while (!reports.includes('started')) await new Promise((resolve) => setTimeout(resolve, 5));
    const second = again(2);
    expect(tasks.list()).toHaveLength(1);
    answers.action = TaskAction.CANCEL;
    await Promise.all([first, second]);
    expect(reports).toEqual(['started', 'cancelled']);
    expect(tasks.list()).toHaveLength(0);

    answers.action = TaskAction.CONTINUE;
    const third = again(3);
    while (reports.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    answers.action = TaskAction.CANCEL;
    await third;
    expect(reports.slice(2)).toEqual(['started', 'cancelled']);
  });

  it('does not do a task whose attempt has ended, although nobody can be asked', async () => {
    const { events, reports, again } = queue();
    const over = {
      ...events,
      directives: { ...events.directives, heartbeat: () => Promise.reject(new Error('nobody answers')) },
      checkpoints: { get: () => Promise.reject(new AttemptOverError(task.attemptId)) },
    } as unknown as Events;
    const log = createLogger({ service: 'test', level: 'silent' });
    const tasks = new PhaseTasks(phase, OPTIONS, log, createMetrics('test'));
    await tasks.start(over);
    await again(2);
    expect(reports).toEqual([]);
    expect(tasks.list()).toHaveLength(0);
  });

  it('tells what the curves of a step say while it runs', async () => {
    const { events, answers, again } = queue();
    const metrics = createMetrics('test');
    const log = createLogger({ service: 'test', level: 'silent' });
    const tasks = new PhaseTasks(phase, OPTIONS, log, metrics);
    await tasks.start(events);
    const handled = again(1, { mode: 'learn' });
    const loss = async () => /^forge_training_loss_nats{.*} (.*)$/m.exec((await metrics.expose()).text)?.[1];
    while ((await loss()) === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await loss()).toBe('2.5');
    answers.action = TaskAction.CANCEL;
    await handled;
    expect(await loss()).toBeUndefined();
  });

  it.each([
    ['while it is reported as started', 0],
    ['while its thread still loads', 50],
  ])('hands a task back at once when the drain begins %s', async (_, afterMs) => {
    const { events, reports, again } = queue();
    const log = createLogger({ service: 'test', level: 'silent' });
    const workerUrl = new URL('../../test/fixtures/loading.worker.mjs', import.meta.url);
    const tasks = new PhaseTasks({ ...phase, workerUrl }, OPTIONS, log, createMetrics('test'));
    await tasks.start(events);
    const handled = again(1);
    while (!reports.includes('started')) await Promise.resolve();
    if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
    await tasks.stopPulling();
    await tasks.release();
    await handled;
    expect(reports).toEqual(['started', 'released']);
  });
});
