import { type Generation, generate, generateBatch, type LoadedModel } from '@agentforge/model';
import { type OpenModel, openModel } from '../api/open-model.js';
import { UsageError } from '../errors.js';
import { formatNumber } from '../output/units.js';
import type { Session } from '../session.js';
import { loadThinking, type ThinkOptions, thinkOnce, wantsThoughts } from './model-think.actions.js';

/** Options of `model generate`. */
export interface GenerateCommandOptions extends ThinkOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly stop?: readonly string[];
  readonly seed: number;
  /** Supervision steps of a model with recursion. */
  readonly ponderSteps?: number;
}

/** Continues a prompt, once or several times, printing as it goes. */
export async function modelGenerate(
  session: Session,
  options: GenerateCommandOptions,
  where: string,
): Promise<void> {
  const prompt = options.prompt === '-' ? await session.io.readStdin() : options.prompt;
  const format = await session.format();
  const isThinking = wantsThoughts(options, format);
  if (isThinking && options.ponderSteps !== undefined)
    throw new UsageError('--ponder-steps is for models with recursion, which cannot think between tokens');
  const signal = session.io.interruption();
  const opened = await openModel(session, where);
  try {
    const print = format === 'table' ? (text: string) => session.io.out.write(text) : () => undefined;
    print(session.style.dim(prompt));
    const results = isThinking
      ? await thinkAll(session, opened, prompt, options, signal, print)
      : await continueAll(opened, prompt, options, signal, print);
    signal.throwIfAborted();
    const [first] = results;
    if (format !== 'table') {
      const value = results.length === 1 ? { prompt, ...first } : { prompt, samples: results };
      await session.print({ value, names: results.map(({ text }) => text), table: () => '' });
      return;
    }
    if (results.length > 1)
      print(`\n${results.map((result, i) => sample(session, options.seed + i, result)).join('')}`);
    else print('\n');
    session.remark(session.errorStyle.dim(remark(results)));
  } finally {
    await opened.dispose();
  }
}

async function continueAll(
  opened: OpenModel,
  prompt: string,
  options: GenerateCommandOptions,
  signal: AbortSignal,
  print: (text: string) => void,
): Promise<Generation[]> {
  const loaded = pondering(await opened.load(), options.ponderSteps);
  try {
    return options.samples === 1
      ? [await continueOnce(loaded, prompt, options, signal, print)]
      : await continueOften(loaded, prompt, options, signal);
  } finally {
    loaded.model.dispose();
  }
}

/** The model with as many supervision steps as are asked for; the one that was loaded is freed. */
function pondering(loaded: LoadedModel, steps: number | undefined): LoadedModel {
  if (steps === undefined) return loaded;
  try {
    return { ...loaded, model: loaded.model.reasoningFor(steps) };
  } finally {
    loaded.model.dispose();
  }
}

/** Thinking goes one prompt at a time: each one has thoughts of its own. */
async function thinkAll(
  session: Session,
  opened: OpenModel,
  prompt: string,
  options: GenerateCommandOptions,
  signal: AbortSignal,
  print: (text: string) => void,
): Promise<Generation[]> {
  const loaded = await loadThinking(opened);
  try {
    const results: Generation[] = [];
    const take = options.samples === 1 ? print : () => undefined;
    for (let i = 0; i < options.samples && !signal.aborted; i++) {
      const one = { ...settings(options, signal), seed: options.seed + i };
      results.push(await thinkOnce(session, loaded, prompt, options, one, take));
    }
    return results;
  } finally {
    loaded.model.dispose();
  }
}

function settings(
  { maxTokens, temperature, topK, topP, stop, seed }: GenerateCommandOptions,
  signal: AbortSignal,
) {
  return {
    maxTokens,
    temperature,
    seed,
    signal,
    ...(topK === undefined ? {} : { topK }),
    ...(topP === undefined ? {} : { topP }),
    ...(stop === undefined ? {} : { stop }),
  };
}

async function continueOnce(
  { model, tokenizer }: LoadedModel,
  prompt: string,
  options: GenerateCommandOptions,
  signal: AbortSignal,
  print: (text: string) => void,
): Promise<Generation> {
  const pieces = generate(model, tokenizer, prompt, settings(options, signal));
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
    print(next.value.text);
  }
}

async function continueOften(
  { model, tokenizer }: LoadedModel,
  prompt: string,
  options: GenerateCommandOptions,
  signal: AbortSignal,
): Promise<Generation[]> {
  const prompts = Array.from({ length: options.samples }, () => prompt);
  const pieces = generateBatch(model, tokenizer, prompts, settings(options, signal));
  for (;;) {
    const next = await pieces.next();
    if (next.done) return next.value;
  }
}

function sample(session: Session, seed: number, { text, finish }: Generation): string {
  return `${session.style.dim(`── seed ${seed}, ended by ${finish}`)}\n${text}\n`;
}

function remark(results: readonly Generation[]): string {
  const tokens = results.reduce((sum, result) => sum + result.tokens.length, 0);
  const speed = results.reduce((sum, { tokensPerSecond }) => sum + tokensPerSecond, 0);
  const ended = results.length === 1 ? `ended by ${results[0]?.finish}` : `${results.length} samples`;
  return `${tokens} tokens, ${ended}, ${formatNumber(Math.round(speed))} tokens/s`;
}
