import { createLogger, createMetrics } from '@agentforge/telemetry';
import { Story } from '../../test/story.js';
import type { EnginePorts } from './engine-ports.js';
import { record } from './run-telemetry.js';

/** Telemetry of the last events of a story, as the replica that decided them writes it. */
function telemetryOf(story: Story) {
  const metrics = createMetrics('test');
  const ports = { metrics, logger: createLogger({ service: 'test', level: 'silent' }) } as EnginePorts;
  let seen = story.log.length;
  return {
    take() {
      const events = story.log.slice(seen);
      seen = story.log.length;
      if (story.state) record(events, story.state, ports);
    },
    /** Observations of the delay of scheduling: how many, and their sum in seconds. */
    async delays() {
      const { text } = await metrics.expose();
      const value = (part: string) =>
        Number(
          new RegExp(`^forge_step_scheduling_delay_seconds_${part}\\{[^}]*\\} (\\S+)$`, 'm').exec(
            text,
          )?.[1] ?? 0,
        );
      return { count: value('count'), sum: value('sum') };
    },
  };
}

describe('record()', () => {
  it('observes the time from READY until a worker has begun, once for an attempt', async () => {
    const story = Story.of([{ id: 'a' }]);
    const telemetry = telemetryOf(story);
    story.wait(250);
    story.start('a');
    telemetry.take();
    expect(await telemetry.delays()).toEqual({ count: 1, sum: 0.25 });
    story.wait(1_000);
    story.start('a', { worker: 'another' });
    telemetry.take();
    expect(await telemetry.delays()).toEqual({ count: 1, sum: 0.25 });
  });

  it('observes the wait of another attempt from the end of the one before', async () => {
    const story = Story.of([{ id: 'a' }]);
    const telemetry = telemetryOf(story);
    story.start('a');
    telemetry.take();
    story.fail('a');
    telemetry.take();
    const before = await telemetry.delays();
    story.wait(4_000);
    story.start('a');
    telemetry.take();
    const { count, sum } = await telemetry.delays();
    expect(count).toBe(before.count + 1);
    expect(sum - before.sum).toBeCloseTo(4, 3);
  });
});
