// pnpm bench:compute: what the compute core does in a second, beside its bounds and its peers. See README.md.
import { writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { lineOf } from './figures.mjs';
import { rooflineSvg } from './roofline.mjs';
import { judged } from './targets.mjs';

/** By name, in the order they run. Each runs in turn, so that nothing else computes meanwhile. */
const SECTIONS = ['native', 'merging', 'merging-files', 'training', 'generation', 'addon'];

const HELP = `Usage: pnpm bench:compute [options]
  --only a,b        sections to run: ${SECTIONS.join(', ')} (default all)
  --threads N       compute threads of every side (default ${availableParallelism()})
  --torch PYTHON    python with torch, to measure training steps beside it
  --mergekit PYTHON python with mergekit, to measure merges beside it
  --methods a,b     methods that the section merging-files measures (default all of it)
  --checkpoints DIR where that section keeps its checkpoints, 0.8 GB (default made anew)
  --llama DIR       folder whose node_modules has node-llama-cpp, to measure generation beside it
  --models a,b      presets for training and generation (default pico,nano,small)
  --rounds N        interleaved rounds of a comparison (default 6)
  --json FILE       write machine and figures as JSON; - is the standard output
  --svg FILE        write the roofline
`;

function fail(message) {
  console.error(`bench:compute: ${message}\n\n${HELP}`);
  process.exit(2);
}

function settings() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        only: { type: 'string', default: SECTIONS.join(',') },
        threads: { type: 'string', default: String(availableParallelism()) },
        torch: { type: 'string' },
        mergekit: { type: 'string' },
        methods: { type: 'string' },
        checkpoints: { type: 'string' },
        llama: { type: 'string' },
        models: { type: 'string', default: 'pico,nano,small' },
        rounds: { type: 'string', default: '6' },
        json: { type: 'string' },
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
  const models = values.models.split(',');
  const wrong = [
    ...sections
      .filter((name) => !SECTIONS.includes(name))
      .map((name) => `--only: there is no section ${name}`),
    ...models
      .filter((name) => !['pico', 'nano', 'small'].includes(name))
      .map((name) => `--models: ${name} is not pico, nano or small`),
    ...['threads', 'rounds']
      .filter((name) => !/^[1-9]\d{0,2}$/.test(values[name]))
      .map((name) => `--${name}: ${values[name]} is not a number from 1 to 999`),
  ];
  if (wrong.length > 0) fail(wrong.join('\n  '));
  return { ...values, sections, models, threads: Number(values.threads), rounds: Number(values.rounds) };
}

const options = settings();
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  logicalCpus: availableParallelism(),
  memoryBytes: totalmem(),
  platform: `${platform()} ${release()} ${arch()}`,
  node: process.version,
  threads: options.threads,
  openblasCoretype: process.env.OPENBLAS_CORETYPE ?? null,
  peers: {},
};
const say = options.json === '-' ? console.error : console.log;
say(`${machine.cpu}, ${options.threads} threads, node ${machine.node}\n`);
const figures = [];
const context = {
  ...options,
  machine,
  say,
  record(figure) {
    const one = judged(figure);
    figures.push(one);
    say(lineOf(one));
  },
};
const broken = [];
for (const name of SECTIONS.filter((section) => options.sections.includes(section))) {
  const { run } = await import(`./sections/${name}.mjs`);
  try {
    await run(context);
  } catch (error) {
    broken.push(name);
    console.error(`bench:compute: section ${name} failed: ${error.stack}`);
  }
}

const publicFigures = figures.map(({ intensity, ...figure }) => figure);
const document = `${JSON.stringify({ machine, figures: publicFigures }, null, 1)}\n`;
if (options.json === '-') process.stdout.write(document);
else if (options.json !== undefined) writeFileSync(options.json, document);
if (options.svg !== undefined) {
  if (machine.peakFlops === undefined) fail('--svg needs the section native');
  writeFileSync(options.svg, rooflineSvg(machine, figures));
}
const missed = figures.filter(({ met }) => met === false);
say(
  `\n${figures.length} figures, ${figures.filter(({ met }) => met).length} targets met, ${missed.length} not met`,
);
if (broken.length > 0) {
  console.error(`bench:compute: sections that failed: ${broken.join(', ')}`);
  process.exitCode = 1;
}
