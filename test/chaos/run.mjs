// pnpm test:chaos: runs graphs of probes while everything under them is killed, stopped and cut, then proves from the
// logs that nothing was lost, doubled or done over. See README.md.
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { check } from './checker.mjs';
import { Disk } from './disk.mjs';
import { causeFaults, heal } from './faults.mjs';
import { randomWishes } from './graphs.mjs';
import { readHistory, Witness } from './history.mjs';
import { Load } from './load.mjs';
import { randomOf } from './random.mjs';
import { System } from './system.mjs';

const HELP = `Usage: pnpm test:chaos [options]
  --minutes M    how long faults happen (default 2)
  --seed S       what happens, and to whom (default: drawn, and printed)
  --parallel N   runs at a time (default 4)
  --no-faults    the same load, undisturbed
  --data FOLDER  where everything is kept (default: temporary, kept when something is violated)
  --json FILE    write the report as JSON; - is the standard output
`;
/** Time that runs get to end once nothing is broken any more, ms. */
const RECOVERY_MS = 120_000;

function fail(message) {
  console.error(`test:chaos: ${message}\n\n${HELP}`);
  process.exit(2);
}

function settings() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '2' },
        seed: { type: 'string', default: String(randomInt(2 ** 31)) },
        parallel: { type: 'string', default: '4' },
        'no-faults': { type: 'boolean', default: false },
        data: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }));
  } catch (error) {
    fail(error.message);
  }
  if (values.help) {
    console.log(HELP);
    process.exit(0);
  }
  const minutes = Number(values.minutes);
  const parallel = Number(values.parallel);
  if (!(minutes > 0 && minutes <= 24 * 60)) fail(`--minutes: ${values.minutes} is not between 0 and 1440`);
  if (!Number.isInteger(parallel) || parallel < 1 || parallel > 64)
    fail(`--parallel: ${values.parallel} is not 1 to 64`);
  return { ...values, minutes, parallel, faults: !values['no-faults'] };
}

const options = settings();
const startedMs = Date.now();
const say = (line) => console.error(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);
say(`seed ${options.seed}, ${options.minutes} min`);

const system = new System(options.data, (line) => say(`  ${line}`));
let isKept = options.data !== undefined;
/** Aborts when nothing more is to be broken. */
const calm = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => calm.abort());

try {
  await system.start();
  const report = await chaos();
  isKept ||= report.violations.length > 0;
  print(report);
  process.exitCode = report.violations.length > 0 ? 1 : 0;
} catch (error) {
  isKept = true;
  console.error(error);
  process.exitCode = 1;
} finally {
  if (isKept) say(`kept: ${system.folder}`);
  await system.stop(isKept);
  // Clients that were waiting for a server when it ended may still hold timers and sockets.
  process.exit();
}

async function chaos() {
  const disk = new Disk(system.natsUrl);
  const witness = new Witness();
  await witness.start(system.natsUrl);
  const load = new Load(system.server, randomOf(options.seed, 'load'), { wishesOf: randomWishes });
  setTimeout(() => calm.abort(), options.minutes * 60_000).unref();
  const giveUp = new AbortController();
  const running = load.run(options.parallel, calm.signal, giveUp.signal);
  const parts = { system, disk };
  const counts = await Promise.race([
    options.faults
      ? causeFaults(parts, randomOf(options.seed, 'faults'), calm.signal, say)
      : untilAborted(calm.signal),
    system.failed,
  ]);
  say('nothing more is broken; runs may end');
  await heal(parts);
  await Promise.race([running, sleep(RECOVERY_MS, undefined, { ref: false }), system.failed]);
  giveUp.abort();
  await running;
  await sleep(1_000);
  await witness.stop();
  await disk.assertWhole();
  const history = await readHistory({ ...pathsOf(system), natsUrl: system.natsUrl });
  const seen = [...load.seen, ...witness.seen];
  const surprises = [...load.surprises.values()];
  const figures = check({ ...history, accepted: load.accepted, seen, surprises });
  const { minutes, seed } = options;
  return { minutes, seed, ...counts, eventsSeen: seen.length, ...figures };
}

function pathsOf({ artifactDir, journalDir }) {
  return { artifactDir, journalDir };
}

function untilAborted(signal) {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve({}), { once: true }));
}

function print(report) {
  const { violations, ...figures } = report;
  for (const { rule, run, detail } of violations) console.error(`VIOLATED ${rule} ${run}: ${detail}`);
  console.log(
    Object.entries(figures)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  );
  console.log(violations.length === 0 ? 'every promise held' : `${violations.length} violations`);
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else if (options.json !== undefined) writeFileSync(options.json, json);
}
