// Works in units; every unit is a line of the journal before the next begins.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';
import { MEDIA_TYPES, servePhase } from '@agentforge/phase-runtime/worker';
import { Journal } from './journal.mjs';
import { firstState, nextState, reportText } from './outcome.mjs';

const CODES = { transient: 'UNAVAILABLE', permanent: 'FAILED_PRECONDITION', resource: 'RESOURCE_EXHAUSTED' };
/** Writes nothing: for steps without a key, and where no folder is set. */
const NO_JOURNAL = { write: () => undefined, isAmongFirst: (_, limit) => limit > 0 };

await servePhase(async (context) => {
  const { config } = context;
  const folder = process.env.FORGE_PROBE_JOURNAL_DIR;
  const journal = folder && config.journal_key ? new Journal(folder, config.journal_key) : NO_JOURNAL;
  const inputs = context.inputs('inputs').map(({ ref }) => ref.digest);
  const start = { next: 0, state: firstState(context.seed, inputs) };
  if (context.fallback) return deliver(context, start.state, 'fallback');

  let { next, state } = (await context.restore(readState)) ?? start;
  journal.write('begin', next);
  allocate(config.memory_bytes);
  while (next < config.units) {
    if (next === config.fail_at && journal.isAmongFirst('fail', config.fail_first)) {
      journal.write('fail', next);
      throw new AppError(CODES[config.fail_class], 'told to fail', { reason: 'TOLD_TO_FAIL' });
    }
    if (next === config.crash_at && journal.isAmongFirst('crash', config.crashes)) {
      journal.write('crash', next);
      process.kill(process.pid, 'SIGKILL');
      await sleep(60_000);
    }
    await sleep(config.unit_ms);
    state = nextState(state, next);
    journal.write('unit', next);
    next += 1;
    context.progress(next / config.units, 'working', [
      { series: 'units', subject: '', step: next, value: next },
    ]);
    context.throwIfAborted();
    if (next % config.checkpoint_every === 0 && next < config.units) {
      await context.safePoint(() => new Map([['state.json', Buffer.from(JSON.stringify({ next, state }))]]));
      journal.write('checkpoint', next);
    }
  }
  const result = await deliver(context, state, 'worked');
  journal.write('done', next);
  return result;
});

async function readState(checkpoint) {
  const { next, state } = JSON.parse(new TextDecoder().decode(await checkpoint.read('state.json')));
  if (!Number.isInteger(next) || !/^[0-9a-f]{64}$/.test(state)) throw new Error('no state');
  return { next, state };
}

/** Touches memory once; more than one allocation may have fails as any refused allocation does. */
function allocate(bytes) {
  if (bytes > 0) new Uint8Array(bytes).fill(1);
}

async function deliver(context, state, outcome) {
  const text = reportText(state, context.config.output_bytes, outcome);
  const label = { name: 'probe', type: 'report', mediaType: MEDIA_TYPES.report };
  const ref = await context.putBlob(label, new TextEncoder().encode(text));
  return {
    outcome,
    outputs: [{ port: 'report', artifacts: [ref] }],
    metrics: [{ name: 'units', value: context.config.units, unit: '1', split: '', subject: '' }],
    backend: 'cpu-none',
    threads: 1,
  };
}
