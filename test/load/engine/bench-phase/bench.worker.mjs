// Waits, with a checkpoint now and then; a step of 0 ms is all overhead.
import { setTimeout as sleep } from 'node:timers/promises';
import { servePhase } from '@agentforge/phase-runtime/worker';

/** Granularity of waiting, ms. */
const SLICE_MS = 10;

await servePhase(async (context) => {
  let waitedMs =
    (await context.restore(async (checkpoint) => {
      const saved = JSON.parse(new TextDecoder().decode(await checkpoint.read('state.json')));
      return saved.waitedMs;
    })) ?? 0;
  while (waitedMs < context.config.duration_ms) {
    await sleep(SLICE_MS);
    waitedMs += SLICE_MS;
    context.throwIfAborted();
    if (context.isSafePointDue())
      await context.safePoint(() => new Map([['state.json', Buffer.from(JSON.stringify({ waitedMs }))]]));
  }
  return { outcome: 'waited', outputs: [], metrics: [], backend: 'none', threads: 1 };
});
