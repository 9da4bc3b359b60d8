// What `pnpm bench:compute` is asked for.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';

/** By name, in the order they run. Each runs in turn, so that nothing else computes meanwhile. */
export const SECTIONS = [
  'native',
  'merging',
  'merging-files',
  'training',
  'quality',
  'generation',
  'addon',
  'ternary',
];

/** What each device can be asked for. */
const SECTIONS_OF = {
  cpu: SECTIONS.filter((name) => name !== 'ternary'),
  cuda: ['training', 'ternary'],
};
const DEVICES = Object.keys(SECTIONS_OF);

const MODELS = ['pico', 'nano', 'small'];
const PRECISIONS = ['f32', 'bf16'];

export const HELP = `Usage: pnpm bench:compute [options]
  --device D        what computes: cpu, or cuda with the sections ${SECTIONS_OF.cuda.join(' and ')} (default cpu)
  --only a,b        sections to run: ${SECTIONS_OF.cpu.join(', ')} (default all)
  --threads N       compute threads of every side (default ${availableParallelism()})
  --torch PYTHON    python with torch, to measure training steps beside it, and on a GPU ternary products
  --precision P     of the dense products of those steps, on both sides: f32 or bf16 (default f32)
  --text FILE       text that the section quality trains on, UTF-8; without it that section is skipped
  --mergekit PYTHON python with mergekit, to measure merges beside it
  --methods a,b     methods that the section merging-files measures (default all of it)
  --checkpoints DIR where that section keeps its checkpoints, 0.8 GB (default made anew)
  --llama DIR       folder whose node_modules has node-llama-cpp, to measure generation beside it
  --models a,b      presets for training and generation (default ${MODELS.join(',')})
  --rounds N        interleaved rounds of a comparison (default 6)
  --json [FILE]     write machine and figures as JSON, to the standard output when there is no FILE or it is -
  --svg FILE        write the roofline
`;

/** parseArgs has no options whose value may be missing: a bare `--json` becomes `--json -`. */
function withJsonTarget(args) {
  return args.flatMap((arg, i) => {
    const next = args[i + 1];
    const isBare = arg === '--json' && (next === undefined || (next.startsWith('-') && next !== '-'));
    return isBare ? [arg, '-'] : [arg];
  });
}

/**
 * The settings of a command line; `help` alone when it asks for that.
 * @throws Error  with a line for everything that is wrong
 */
export function settingsOf(args) {
  const { values } = parseArgs({
    args: withJsonTarget(args),
    options: {
      device: { type: 'string', default: 'cpu' },
      only: { type: 'string' },
      threads: { type: 'string', default: String(availableParallelism()) },
      torch: { type: 'string' },
      precision: { type: 'string', default: 'f32' },
      text: { type: 'string' },
      mergekit: { type: 'string' },
      methods: { type: 'string' },
      checkpoints: { type: 'string' },
      llama: { type: 'string' },
      models: { type: 'string', default: MODELS.join(',') },
      rounds: { type: 'string', default: '6' },
      json: { type: 'string' },
      svg: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { help: true };
  const ofDevice = SECTIONS_OF[values.device] ?? SECTIONS;
  const sections = values.only?.split(',') ?? ofDevice;
  const models = values.models.split(',');
  const wrong = [
    ...(DEVICES.includes(values.device) ? [] : [`--device: ${values.device} is not ${DEVICES.join(' or ')}`]),
    ...sections
      .filter((name) => !SECTIONS.includes(name))
      .map((name) => `--only: there is no section ${name}`),
    ...sections
      .filter((name) => SECTIONS.includes(name) && !ofDevice.includes(name))
      .map((name) => `--only: ${name} is not measured on ${values.device}, but ${ofDevice.join(', ')}`),
    ...models
      .filter((name) => !MODELS.includes(name))
      .map((name) => `--models: ${name} is not ${MODELS.join(', ')}`),
    ...(PRECISIONS.includes(values.precision)
      ? []
      : [`--precision: ${values.precision} is not ${PRECISIONS.join(' or ')}`]),
    ...['threads', 'rounds']
      .filter((name) => !/^[1-9]\d{0,2}$/.test(values[name]))
      .map((name) => `--${name}: ${values[name]} is not a number from 1 to 999`),
  ];
  if (wrong.length > 0) throw new Error(wrong.join('\n  '));
  return { ...values, sections, models, threads: Number(values.threads), rounds: Number(values.rounds) };
}
