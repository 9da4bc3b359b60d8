import { crossEntropy, noGrad, reshape, scope, tensor } from '@agentforge/tensor';
import type { LlamaModel } from '../llama/llama-model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { countPromptTokens } from './prompt-tokens.js';
import type { ChoiceTask } from './task-file.js';

/** A prompt with one of its choices, as tokens. */
export interface ChoiceRow {
  readonly task: ChoiceTask;
  readonly choice: number;
  readonly ids: Int32Array;
  /** Tokens before the choice, ≥ 1. */
  readonly promptLength: number;
  /** UTF-8 bytes of the choice. */
  readonly bytes: number;
}

/** Target that the loss leaves out. */
const IGNORE = -100;

/**
 * Tokens of a prompt followed by a choice. They are encoded together, as text would be, and divided where the
 * prompt alone ends; white space at the end of the prompt counts to the choice, because tokens begin with it.
 * @param startId  token before an empty prompt, and before every prompt where the tokenizer has a begin-of-text token
 */
export function choiceRow(
  tokenizer: Tokenizer,
  task: ChoiceTask,
  choice: number,
  startId: number,
): ChoiceRow {
  const text = task.choices[choice] ?? '';
  const prompt = task.prompt.trimEnd();
  const whole = tokenizer.encode(task.prompt + text);
  const before = Math.max(0, Math.min(countPromptTokens(tokenizer, whole, prompt), whole.length - 1));
  const bytes = Buffer.byteLength(text);
  if (before > 0 && tokenizer.bosId === null)
    return { task, choice, ids: whole, promptLength: before, bytes };
  return { task, choice, ids: Int32Array.of(startId, ...whole), promptLength: before + 1, bytes };
}

/**
 * Log-likelihood of each row's choice given its prompt, nats: one forward pass over all rows, padded at their ends,
 * where nothing before looks.
 */
export function logLikelihoods(model: LlamaModel, rows: readonly ChoiceRow[]): number[] {
  const length = Math.max(...rows.map(({ ids }) => ids.length)) - 1;
  const inputs = new Int32Array(rows.length * length);
  const targets = new Int32Array(rows.length * length).fill(IGNORE);
  rows.forEach(({ ids, promptLength }, row) => {
    inputs.set(ids.subarray(0, -1), row * length);
    targets.set(ids.subarray(promptLength), row * length + promptLength - 1);
  });
  const losses = noGrad(() =>
    scope(() => {
      const logits = model.forward(tensor(inputs, [rows.length, length]));
      const options = { ignoreIndex: IGNORE, reduction: 'none' } as const;
      return crossEntropy(reshape(logits, [inputs.length, -1]), tensor(targets), options).toFloat32Array();
    }),
  );
  return rows.map(
    (_, row) => -losses.subarray(row * length, (row + 1) * length).reduce((sum, nats) => sum + nats, 0),
  );
}
