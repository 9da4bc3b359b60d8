// pnpm bench:compute: what the compute core does in a second, beside its bounds and its peers. See README.md.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { lineOf } from './figures.mjs';
import { rooflineSvg } from './roofline.mjs';
import { HELP, SECTIONS, settingsOf } from './settings.mjs';
import { judged } from './targets.mjs';

function fail(message) {
  console.error(`bench:compute: ${message}\n\n${HELP}`);
  process.exit(2);
}

function settings() {
  try {
    const asked = settingsOf(process.argv.slice(2));
    if (!asked.help) return asked;
  } catch (error) {
    fail(error.message);
  }
  console.log(HELP);
  process.exit(0);
}

/** What git says of this checkout in one line; null outside one. */
function git(...args) {
  try {
    const cwd = fileURLToPath(new URL('.', import.meta.url));
    return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

const options = settings();
const date = new Date().toISOString();
const commit = git('rev-parse', 'HEAD');
const isChanged = commit === null ? null : git('status', '--porcelain') !== '';
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
const document = `${JSON.stringify({ commit, isChanged, date, machine, figures: publicFigures }, null, 1)}\n`;
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
