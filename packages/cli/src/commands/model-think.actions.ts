import {
  directorySource,
  type Generation,
  generateThinking,
  type LoadedThinkingModel,
  loadThinkingModel,
  type Thought,
} from '@agentforge/model';
import type { OpenModel } from '../api/open-model.js';
import { UsageError } from '../errors.js';
import type { OutputFormat } from '../output/format.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';

/** Options of `model generate` that are about thoughts. */
export interface ThinkOptions {
  readonly samples: number;
  /** Think before every token. */
  readonly think?: boolean;
  /** Think, and print what was thought. */
  readonly showThoughts?: boolean;
  readonly thoughtLength?: number;
  readonly thoughtTemperature?: number;
}

/** A continuation, and what was thought before each of its tokens. */
export interface ThoughtfulGeneration extends Generation {
  /** Present when thoughts are to be shown. */
  readonly thoughts?: readonly (Thought | null)[];
}

/**
 * Continues a prompt once, thinking before every token. Thoughts are printed where they are to be shown, dimmed, and left out of
 * the text otherwise.
 * @param print  gets the text as it goes
 */
export async function thinkOnce(
  session: Session,
  { model, tokenizer, thoughts: learnt }: LoadedThinkingModel,
  prompt: string,
  options: ThinkOptions,
  settings: { readonly maxTokens: number; readonly seed: number; readonly signal: AbortSignal },
  print: (text: string) => void,
): Promise<ThoughtfulGeneration> {
  const pieces = generateThinking(model, tokenizer, prompt, {
    ...settings,
    thoughtLength: options.thoughtLength ?? learnt.thought_length,
    thoughtTemperature: options.thoughtTemperature ?? learnt.temperature,
  });
  const thoughts: (Thought | null)[] = [];
  for (;;) {
    const next = await pieces.next();
    if (next.done) return options.showThoughts ? { ...next.value, thoughts } : next.value;
    const { thought, text } = next.value;
    if (options.showThoughts && thought) print(session.style.dim(`⟨${printable(thought.text)}⟩`));
    thoughts.push(thought);
    print(text);
  }
}

/**
 * Whether thoughts were asked for.
 * @throws UsageError INVALID_ARGUMENT: settings of thoughts without them; thoughts of several samples as a table
 */
export function wantsThoughts(options: ThinkOptions, format: OutputFormat): boolean {
  const { think, showThoughts, thoughtLength, thoughtTemperature, samples } = options;
  const isThinking = think === true || showThoughts === true;
  if (!isThinking && (thoughtLength !== undefined || thoughtTemperature !== undefined)) {
    throw new UsageError('--thought-length and --thought-temperature need --think or --show-thoughts');
  }
  if (showThoughts && samples > 1 && format === 'table') {
    throw new UsageError('--show-thoughts with several --samples needs -o json or yaml');
  }
  return isThinking;
}

/**
 * A model that thinks.
 * @throws UsageError INVALID_ARGUMENT: a GGUF file, which has no place for thoughts
 * @throws NoThoughtsError FAILED_PRECONDITION: the model has not learnt to think
 */
export function loadThinking({ folder, gguf }: OpenModel): Promise<LoadedThinkingModel> {
  if (gguf !== undefined) {
    throw new UsageError(`${gguf} holds no thoughts; name the folder or the artifact that it was made from`);
  }
  return loadThinkingModel(directorySource(folder));
}
