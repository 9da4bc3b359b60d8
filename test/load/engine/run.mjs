// pnpm bench:engine: what the engine does in a second, and what a step waits for it. See README.md.
import { existsSync, writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { curvesSvg, DRAWN_SECTIONS } from './curves.mjs';
import { documentOf, lineOf, tableOf } from './report.mjs';
import { stopSystems } from './system.mjs';
import { judged } from './targets.mjs';

/** By name, in the order they run. Each runs in turn, with a system of its own. */
const SECTIONS = [
  'overhead',
  'throughput',
  'rpc',
  'watchers',
  'resume',
  'large',
  'telemetry',
  'idle',
  'start',
];
/** Numbers that can be set, with what they are usually. */
const NUMBERS = {
  seconds: [10, 'length of a measurement at a steady rate'],
  steps: [200, 'steps of a chain, for the overhead of a step'],
  runs: [64, 'runs that go on at once, for steps per second'],
  watchers: [100, 'watchers of one run'],
  kills: [50, 'workers that are killed'],
  large: [10_000, 'steps of the large graph'],
  rounds: [8, 'interleaved rounds with and without telemetry'],
  idle: [900, 'runs that wait, for their memory'],
  finished: [2_000, 'finished runs on record, for the time to start'],
  limit: [600, 'seconds after which a section has failed; what it recorded until then counts'],
};

const HELP = `Usage: pnpm bench:engine [options]
  --only a,b        sections to run: ${SECTIONS.join(', ')} (default all)
  --rates a,b       requests per second (default 1000,5000)
${Object.entries(NUMBERS)
  .map(([name, [usual, what]]) => `  ${`--${name} N`.padEnd(17)} ${what} (default ${usual})`)
  .join('\n')}
  --profile DIR     write CPU profiles of orchestrator and front door under load, and print where the time goes
  --json FILE       write machine and figures as JSON; - is the standard output
  --table FILE      write the figures as a Markdown table
  --svg FILE        write the distributions that these sections have: ${DRAWN_SECTIONS.join(', ')}
`;

function fail(message) {
  console.error(`bench:engine: ${message}\n\n${HELP}`);
  process.exit(2);
}

function settings() {
  const numbers = Object.entries(NUMBERS).map(([name, [usual]]) => [
    name,
    { type: 'string', default: String(usual) },
  ]);
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        only: { type: 'string', default: SECTIONS.join(',') },
        rates: { type: 'string', default: '1000,5000' },
        ...Object.fromEntries(numbers),
        profile: { type: 'string' },
        json: { type: 'string' },
        table: { type: 'string' },
        svg: { type: 'string' },
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
  const sections = values.only.split(',');
  const rates = values.rates.split(',');
  const isCount = (text) => /^[1-9]\d{0,6}$/.test(text);
  const wrong = [
    ...sections
      .filter((name) => !SECTIONS.includes(name))
      .map((name) => `--only: there is no section ${name}`),
    ...rates.filter((rate) => !isCount(rate)).map((rate) => `--rates: ${rate} is not a number of requests`),
    ...Object.keys(NUMBERS)
      .filter((name) => !isCount(values[name]))
      .map((name) => `--${name}: ${values[name]} is not a number from 1 to 9,999,999`),
    ...(values.svg && !sections.some((name) => DRAWN_SECTIONS.includes(name))
      ? [`--svg needs one of the sections ${DRAWN_SECTIONS.join(', ')}`]
      : []),
  ];
  if (wrong.length > 0) fail(wrong.join('\n  '));
  const counts = Object.fromEntries(Object.keys(NUMBERS).map((name) => [name, Number(values[name])]));
  return { ...values, ...counts, sections, rates: rates.map(Number) };
}

const options = settings();
if (!existsSync('/proc/self/stat'))
  fail('CPU time and memory of the processes are read from /proc, which only Linux has');
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  logicalCpus: availableParallelism(),
  memoryBytes: totalmem(),
  platform: `${platform()} ${release()} ${arch()}`,
  node: process.version,
  loadBefore: loadavg()[0],
};
const say = options.json === '-' ? console.error : console.log;
say(`${machine.cpu}, ${machine.logicalCpus} cores, node ${machine.node}`);
if (machine.loadBefore > 0.5 * machine.logicalCpus)
  say(`The machine is busy (load ${machine.loadBefore.toFixed(1)}): these figures say little.`);
const figures = [];
const curves = [];
const context = {
  ...options,
  cores: machine.logicalCpus,
  say,
  notify: (line) => say(`  ${line}`),
  /** Judges, prints and keeps a figure: name, shape, value, unit, and what bounds it. */
  record(figure) {
    const one = judged(figure);
    figures.push(one);
    say(lineOf(one));
  },
  /** Keeps a distribution for the drawing. */
  curve(name, samples) {
    curves.push({ name, samples });
  },
};
/** The outcome of a section, or its failure when it takes too long. */
async function within(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // A section that is cut off fails again, at what it was waiting for.
    work.catch(() => undefined);
  }
}

/** What is known so far: a later failure loses nothing. */
function keep() {
  if (options.json !== undefined && options.json !== '-')
    writeFileSync(options.json, documentOf(machine, figures));
  if (options.table !== undefined) writeFileSync(options.table, tableOf(figures));
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
])
  process.once(signal, () => {
    say(`  ${signal}: ending what was started`);
    void stopSystems().then(() => process.exit(code));
  });

const failed = [];
const sections = await Promise.all(
  SECTIONS.filter((section) => options.sections.includes(section)).map(async (name) => {
    const { run } = await import(`./sections/${name}.mjs`);
    return { name, run };
  }),
);
for (const { name, run } of sections) {
  say(`\n${name}`);
  const before = figures.length;
  const beganMs = performance.now();
  let isOpen = true;
  try {
    await within(options.limit, run({ ...context, record: (figure) => isOpen && context.record(figure) }));
  } catch (error) {
    isOpen = false;
    failed.push(name);
    await stopSystems();
    say(`  section ${name} failed: ${error.stack ?? error}`);
  }
  for (const bound of new Set(figures.slice(before).map((figure) => figure.bound)))
    if (bound) say(`  ${bound}`);
  say(`  ${name} took ${((performance.now() - beganMs) / 1000).toFixed(0)} s`);
  keep();
}

if (options.json === '-') process.stdout.write(documentOf(machine, figures));
if (options.svg !== undefined) writeFileSync(options.svg, curvesSvg(`Latencies, ${machine.cpu}`, curves, 50));
const missed = figures.filter(({ met }) => met === false);
say(
  `\n${figures.length} figures, ${figures.filter(({ met }) => met).length} targets met, ${missed.length} not met` +
    (failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''),
);
// What a section that was cut off still holds must not keep the process.
process.exit(failed.length > 0 ? 1 : 0);
