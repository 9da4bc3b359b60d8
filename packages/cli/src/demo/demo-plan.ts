import { constants, statSync } from 'node:fs';
import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type Corpus, readCorpus } from '@agentforge/model';
import { type CorpusContent, packCorpus } from '../api/corpus-content.js';
import { MODEL_FILES } from '../api/model-content.js';
import { type ReadySpec, requireSpec } from '../api/submit-run.js';
import { UsageError } from '../errors.js';
import { requireDemoSize } from './corpus-size.js';
import { defaultCorpus } from './default-corpus.js';

/** What was asked for on the command line. */
export interface DemoOptions {
  readonly corpus?: string;
  readonly out?: string;
  readonly data?: string;
  readonly seed: string;
  readonly preset: string;
  readonly set?: readonly string[];
}

/** A demo that can start: everything that can be checked before has been. */
export interface DemoPlan {
  readonly id: string;
  readonly seed: bigint;
  readonly corpus: Corpus;
  /** The corpus as it is uploaded. */
  readonly content: CorpusContent;
  /** Where it is written for that. */
  readonly corpusFile: string;
  readonly corpusName: string;
  /** Where the report and the model go. */
  readonly outDir: string;
  /** Where events, artifacts and logs go; one folder per demo, so that several can run at once. */
  readonly dataDir: string;
  readonly spec: ReadySpec;
}

const MAX_SEED = (1n << 64n) - 1n;

/**
 * Reads and checks everything a demo needs, before anything is started.
 * @throws UsageError, InvalidSpecError, and the errors of a corpus: missing, empty, binary, too small
 */
export async function planDemo(root: string, cwd: string, options: DemoOptions): Promise<DemoPlan> {
  const seed = parseSeed(options.seed);
  const id = `demo-${timestamp(new Date())}-${process.pid}`;
  const home = join(root, '.forge', 'demo', id);
  const dataDir = options.data === undefined ? join(home, 'data') : resolve(cwd, options.data);
  const corpusPath = options.corpus === undefined ? undefined : resolve(cwd, options.corpus);
  const corpus = corpusPath === undefined ? defaultCorpus(root) : await readCorpus([corpusPath]);
  const isPlain = corpusPath !== undefined && !corpusPath.endsWith('.jsonl') && statSync(corpusPath).isFile();
  const content = packCorpus(corpus, basename(corpusPath ?? 'documentation'), isPlain);
  const corpusFile = join(
    dataDir,
    'corpus',
    content.mediaType === 'text/plain' ? 'corpus.txt' : 'corpus.jsonl',
  );
  const spec = await readDemoSpec(root, options, { seed, corpusFile });
  requireDemoSize(corpus, spec.spec);
  const outDir = options.out === undefined ? home : resolve(cwd, options.out);
  await requireOutFolder(outDir);
  const corpusName = corpusPath === undefined ? 'documentation of the dependencies' : basename(corpusPath);
  return {
    id,
    seed,
    corpus,
    content,
    corpusFile,
    corpusName,
    outDir,
    dataDir,
    spec,
  };
}

async function readDemoSpec(
  root: string,
  options: DemoOptions,
  { seed, corpusFile }: { seed: bigint; corpusFile: string },
): Promise<ReadySpec> {
  const folder = join(root, 'packages', 'cli', 'specs');
  const text = await readFile(join(folder, 'demo.yaml'), 'utf8');
  return requireSpec({
    file: 'packages/cli/specs/demo.yaml',
    text,
    folder,
    overrides: [
      `seed=${seed}`,
      `steps.founders.config.preset=${JSON.stringify(options.preset)}`,
      `steps.founders.inputs.corpus.file=${JSON.stringify(corpusFile)}`,
      `steps.evolve.inputs.corpus.file=${JSON.stringify(corpusFile)}`,
      `steps.think.inputs.corpus.file=${JSON.stringify(corpusFile)}`,
      ...(options.set ?? []),
    ],
  });
}

/** Makes the folder for results; refuses one that cannot be written, or whose model/ holds something else. */
async function requireOutFolder(outDir: string): Promise<void> {
  try {
    await mkdir(outDir, { recursive: true });
    await access(outDir, constants.W_OK);
  } catch (error) {
    throw new UsageError(`--out ${outDir} cannot be written: ${(error as NodeJS.ErrnoException).code}`);
  }
  const model = join(outDir, 'model');
  const entries = await readdir(model).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? [] : [basename(model)],
  );
  const foreign = entries.filter((name) => !MODEL_FILES.includes(name));
  if (foreign.length > 0) {
    throw new UsageError(
      `${model} would be replaced, but holds ${foreign.slice(0, 3).join(', ')}; choose another --out`,
    );
  }
}

function parseSeed(text: string): bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) > MAX_SEED) {
    throw new UsageError(`--seed ${text}: expected a whole number from 0 to ${MAX_SEED}`);
  }
  return BigInt(text);
}

/** `20261121-103059`, local time. */
function timestamp(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `${day}-${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}
