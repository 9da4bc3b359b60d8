import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  type Accuracy,
  encodeSplit,
  evaluate,
  evaluateTasks,
  type LoadedModel,
  parseTasks,
  readCorpus,
  type SplitName,
  splitCorpus,
  type Task,
} from '@agentforge/model';
import { openModel } from '../api/open-model.js';
import { UsageError } from '../errors.js';
import type { Style } from '../output/style.js';
import { formatBytes, formatNumber, formatSeconds } from '../output/units.js';
import type { Session } from '../session.js';

/** Options of `model eval`. */
export interface EvalOptions {
  readonly corpus?: string;
  readonly task?: string;
  readonly split: 'all' | SplitName;
  readonly maxTokens?: number;
  readonly stride?: number;
  readonly batch?: number;
}

/** Measures a model on text, on tasks, or on both. */
export async function modelEval(session: Session, options: EvalOptions, where: string): Promise<void> {
  if (options.corpus === undefined && options.task === undefined) {
    throw new UsageError('nothing to measure on: give --corpus PATH, --task FILE, or both');
  }
  const documents =
    options.corpus === undefined ? undefined : await readDocuments(session, options.corpus, options.split);
  const tasks = options.task === undefined ? undefined : await readTasks(session, options.task);
  const opened = await openModel(session, where);
  try {
    const loaded = await opened.load();
    const text = documents && measureText(loaded, documents, options);
    const answers =
      tasks &&
      (await evaluateTasks(loaded.model, loaded.tokenizer, tasks, {
        // Asked for only here: the loop over text never lets a signal through, so there Ctrl-C just ends the process.
        signal: session.io.interruption(),
        ...(options.batch === undefined ? {} : { batchSize: options.batch }),
      }));
    loaded.model.dispose();
    await session.print({
      value: {
        ...(text === undefined ? {} : { split: options.split, ...text }),
        ...(answers === undefined ? {} : { tasks: answers }),
      },
      names: [String(text?.bitsPerByte ?? (answers?.choice ?? answers?.generate)?.accuracy)],
      table: (style) => {
        const facts: [string, string][] = [];
        if (text) facts.push(...textFacts(text, options.split));
        if (answers) facts.push(...taskFacts(answers));
        return renderFacts(facts, style);
      },
    });
  } finally {
    await opened.dispose();
  }
}

async function readDocuments(
  session: Session,
  path: string,
  split: EvalOptions['split'],
): Promise<readonly string[]> {
  const corpus = await readCorpus([resolve(session.io.cwd, path)]);
  return split === 'all' ? corpus.documents.map(({ text }) => text) : splitCorpus(corpus)[split].documents;
}

async function readTasks(session: Session, file: string): Promise<Task[]> {
  if (file === '-') return parseTasks(await session.io.readStdin(), 'standard input');
  const text = await readFile(resolve(session.io.cwd, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(
      `cannot read ${file}: ${error.code === 'ENOENT' ? 'no such file' : String(error.code)}`,
    );
  });
  return parseTasks(text, file);
}

function measureText(
  { model, tokenizer }: LoadedModel,
  documents: readonly string[],
  { maxTokens, stride, batch }: EvalOptions,
) {
  return evaluate(model, encodeSplit(tokenizer, { documents }), {
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(stride === undefined ? {} : { stride }),
    ...(batch === undefined ? {} : { batchSize: batch }),
  });
}

function textFacts(text: ReturnType<typeof evaluate>, split: string): [string, string][] {
  return [
    ['bits per byte', formatNumber(text.bitsPerByte)],
    ['loss', `${formatNumber(text.lossNats)} nats/token`],
    ['perplexity', formatNumber(text.perplexity)],
    ['text', `${formatBytes(text.bytes)}, ${formatNumber(text.tokens)} tokens (${split})`],
    ['speed', `${formatNumber(Math.round(text.tokensPerSecond))} tokens/s, ${formatSeconds(text.seconds)}`],
  ];
}

function taskFacts({
  choice,
  generate,
  seconds,
}: Awaited<ReturnType<typeof evaluateTasks>>): [string, string][] {
  const facts: [string, string][] = [];
  if (choice !== null) {
    facts.push(['choice', `${share(choice)}, chance ${percent(choice.chance)}`]);
    facts.push(['per byte', share(choice.perByte)]);
  }
  if (generate !== null) facts.push(['generated', share(generate)]);
  facts.push(['time', formatSeconds(seconds)]);
  return facts;
}

function share({ correct, tasks, accuracy, standardError }: Accuracy): string {
  return `${percent(accuracy)} ± ${percent(standardError)} (${correct} of ${tasks})`;
}

function percent(part: number): string {
  return `${formatNumber(100 * part)} %`;
}

function renderFacts(facts: readonly [string, string][], style: Style): string {
  return facts.map(([name, text]) => `${style.dim(name.padEnd(15))}${text}`).join('\n');
}
