import { StepReportSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { timestampNow } from '@bufbuild/protobuf/wkt';

/** Takes the tasks of a phase and succeeds at once: what is left is the engine. */
export async function startFastWorker(events, phase, concurrency = 64) {
  const worker = { done: 0 };
  const consumption = await events.tasks.consume(
    phase,
    async ({ task, delivery }) => {
      const { run, stepId, attemptId, fencingToken } = task;
      const base = { run, stepId, attemptId, fencingToken, worker: 'fast' };
      const report = (payload, n) =>
        events.reports.publish(
          phase,
          create(StepReportSchema, { ...base, time: timestampNow(), payload }),
          n,
        );
      await report({ case: 'started', value: { delivery } }, delivery * 1_000);
      await report({ case: 'succeeded', value: { result: { outcome: 'done' } } }, delivery * 1_000 + 1);
      worker.done++;
    },
    { concurrency, ackWaitMs: 10_000 },
  );
  worker.stop = () => consumption.stop();
  return worker;
}
