import { createLogger, createMetrics } from '@agentforge/telemetry';
import { connectEvents, type Events } from '../src/index.js';
import { connectForTest, type NatsServer, startNatsServer } from '../src/testing/index.js';
import { FaultyProxy } from './faulty-proxy.js';
import { created, event, RUN, taskOf, until } from './histories.js';

describe('against a faulty line', () => {
  let nats: NatsServer;
  let healthy: Events;
  let proxy: FaultyProxy | undefined;
  let events: Events | undefined;

  beforeEach(async () => {
    nats = await startNatsServer();
    healthy = await connectForTest(nats.url);
  });

  afterEach(async () => {
    await events?.close();
    await healthy.close();
    await proxy?.stop();
    await nats.stop();
  });

  it('recreates a pull that is alive but delivers nothing although tasks wait', async () => {
    let isSpoiling = false;
    let spoiled = 0;
    // pulls go to another queue, which has nothing: heartbeats come, tasks do not
    proxy = await FaultyProxy.start(nats.port, (text) =>
      isSpoiling
        ? text.replaceAll('MSG.NEXT.FORGE_TASKS.phase-noop', () => {
            spoiled++;
            return 'MSG.NEXT.FORGE_TASKS.phase-idle';
          })
        : text,
    );
    const idle = await healthy.tasks.consume('idle', async () => undefined);
    await idle.stop();
    const lines: string[] = [];
    const logger = createLogger({
      service: 'test',
      destination: { write: (line: string) => void lines.push(line) },
    });
    const metrics = createMetrics('test');
    events = await connectEvents({ servers: proxy.url, name: 'worker', logger, metrics });
    const seen: string[] = [];
    isSpoiling = true;
    const consumption = await events.tasks.consume('noop', async ({ task }) => void seen.push(task.stepId), {
      watchdogMs: 200,
    });
    await healthy.tasks.publish(taskOf('waits'));
    await until(() => lines.some((line) => line.includes('events.consumer_stuck')));
    expect(seen).toEqual([]);
    isSpoiling = false;
    await until(() => seen.length === 1);
    expect(spoiled).toBeGreaterThan(0);
    expect((await metrics.expose()).text).toMatch(
      /forge_consumer_restarts_total\{[^}]*phase-noop[^}]*\} [1-9]/,
    );
    await consumption.stop();
  });

  it('commits an append once when its acknowledgement is lost', async () => {
    let isCutting = false;
    let sent = 0;
    // the server stores the batch, the client hears nothing and tries again
    proxy = await FaultyProxy.start(nats.port, (text) => {
      if (!text.includes('PUB forge.runs.')) return text;
      sent++;
      if (isCutting && sent === 1)
        setTimeout(() => {
          isCutting = false;
        }, 2_500);
      return isCutting ? text.replace(/_INBOX\.\w{3}/, '_INBOX.XXX') : text;
    });
    events = await connectForTest(proxy.url);
    const first = await events.runs.append(RUN, [created({ one: [] })], 0n);
    sent = 0;
    isCutting = true;
    const appending = events.runs.append(RUN, [event({ case: 'runPaused', value: {} })], first);
    await until(async () => (await healthy.runs.revisionOf(RUN)) > first);
    const second = await healthy.runs.revisionOf(RUN);
    const third = await healthy.runs.append(RUN, [event({ case: 'runResumed', value: {} })], second);
    expect(await appending).toBe(second);
    expect(sent).toBeGreaterThan(1);
    expect((await healthy.runs.read(RUN)).map(({ revision }) => revision)).toEqual([first, second, third]);
  });
});
