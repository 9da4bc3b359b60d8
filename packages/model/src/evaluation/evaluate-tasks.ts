import { setImmediate } from 'node:timers/promises';
import type { FieldViolation } from '@agentforge/errors';
import type { ModelConfig } from '../config/model-config.js';
import { begun } from '../generation/check-generation.js';
import { resultOf } from '../generation/generate.js';
import { generateBatch } from '../generation/generate-batch.js';
import type { LlamaModel } from '../llama/llama-model.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import { InvalidEvaluationError } from './evaluation.errors.js';
import { ORACLES, type Oracle } from './oracles.js';
import { type ChoiceRow, choiceRow, logLikelihoods } from './score-choices.js';
import type { ChoiceTask, GenerateTask, Task } from './task-file.js';

/** Settings of `evaluateTasks`. */
export interface EvaluateTasksOptions {
  /** Rows of one forward pass; changes speed and memory only. Default 16. */
  readonly batchSize?: number;
  /** Decides about generated answers. Default: the one that each task asks for. */
  readonly oracle?: Oracle;
  /** Stops with its reason. */
  readonly signal?: AbortSignal;
  /** Called before each forward pass; throw from it to stop. */
  readonly checkCancelled?: () => void;
  /** Called after every task, in no certain order. */
  readonly onTask?: (result: TaskResult) => void;
}

/** What a model answered to one task. */
export interface TaskResult {
  readonly id: string;
  readonly type: Task['type'];
  readonly isCorrect: boolean;
  /** The choice taken, or the text generated. */
  readonly answer: string;
  /** Choices only: whether the one that is likeliest per byte is right. */
  readonly isCorrectPerByte?: boolean;
  /** Choices only: log-likelihood of each, nats. */
  readonly logLikelihoods?: readonly number[];
}

/** A share of right answers. */
export interface Accuracy {
  readonly tasks: number;
  readonly correct: number;
  readonly accuracy: number;
  /** √(p(1−p)/n). */
  readonly standardError: number;
}

/** How a model did on tasks; a part is null when there are no tasks of its kind. */
export interface TasksEvaluation {
  /** The likeliest choice. */
  readonly choice: (Accuracy & { readonly perByte: Accuracy; readonly chance: number }) | null;
  readonly generate: Accuracy | null;
  /** In the order of the tasks. */
  readonly results: readonly TaskResult[];
  readonly seconds: number;
}

const DEFAULT_BATCH = 16;

/**
 * Puts tasks to a model. Choices: log-likelihood of each after the prompt; the largest is the answer, the first of
 * equals. Generation: greedy, up to a stop string, judged by an oracle. Deterministic.
 * @throws InvalidEvaluationError  INVALID_ARGUMENT: a setting out of range; every task that does not fit the context
 */
export async function evaluateTasks(
  model: LlamaModel,
  tokenizer: Tokenizer,
  tasks: readonly Task[],
  options: EvaluateTasksOptions = {},
): Promise<TasksEvaluation> {
  const started = performance.now();
  const choices = tasks.filter((task) => task.type === 'choice');
  const questions = tasks.filter((task) => task.type === 'generate');
  const rows = choiceRows(model.config, tokenizer, choices);
  check(model, tokenizer, rows, questions, options);
  const results = new Map<string, TaskResult>();
  const add = (result: TaskResult): void => {
    results.set(result.id, result);
    options.onTask?.(result);
  };
  await runChoices(model, choices, rows, options, add);
  await runQuestions(model, tokenizer, questions, options, add);
  const ordered = tasks.flatMap(({ id }) => results.get(id) ?? []);
  return {
    ...summarizeResults(choices, ordered),
    results: ordered,
    seconds: (performance.now() - started) / 1000,
  };
}

/** Tasks that are too long for the context of a model; fields are their ids. */
export function oversizedTasks(
  config: ModelConfig,
  tokenizer: Tokenizer,
  tasks: readonly Task[],
): FieldViolation[] {
  const choices = tasks.filter((task) => task.type === 'choice');
  const questions = tasks.filter((task) => task.type === 'generate');
  return oversized(config, tokenizer, choiceRows(config, tokenizer, choices), questions);
}

function choiceRows(config: ModelConfig, tokenizer: Tokenizer, choices: readonly ChoiceTask[]): ChoiceRow[] {
  const startId = tokenizer.bosId ?? config.bosTokenId ?? config.eosTokenId ?? tokenizer.eosId ?? 0;
  return choices.flatMap((task) => task.choices.map((_, i) => choiceRow(tokenizer, task, i, startId)));
}

/** Text of a task is only text, so special tokens in it are not recognised. */
function questionIds(tokenizer: Tokenizer, { prompt }: GenerateTask): Int32Array {
  return begun(tokenizer, tokenizer.encode(prompt));
}

function oversized(
  { contextLength }: ModelConfig,
  tokenizer: Tokenizer,
  rows: readonly ChoiceRow[],
  questions: readonly GenerateTask[],
): FieldViolation[] {
  const violations: FieldViolation[] = [];
  const tooLong = (id: string, tokens: number, room: number): void => {
    if (tokens <= room) return;
    violations.push({ field: id, description: `has ${tokens} tokens, but there is room for ${room}` });
  };
  // The last token of a choice is predicted, not read.
  for (const { task, ids } of rows) tooLong(task.id, ids.length - 1, contextLength);
  for (const question of questions)
    tooLong(question.id, questionIds(tokenizer, question).length, contextLength - 1);
  return violations;
}

function check(
  model: LlamaModel,
  tokenizer: Tokenizer,
  rows: readonly ChoiceRow[],
  questions: readonly GenerateTask[],
  { batchSize = DEFAULT_BATCH }: EvaluateTasksOptions,
): void {
  const violations: FieldViolation[] = [];
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    violations.push({ field: 'batchSize', description: `is ${batchSize}; must be a whole number ≥ 1` });
  }
  violations.push(...oversized(model.config, tokenizer, rows, questions));
  if (violations.length > 0) throw new InvalidEvaluationError(violations);
}

async function runChoices(
  model: LlamaModel,
  tasks: readonly ChoiceTask[],
  rows: readonly ChoiceRow[],
  { batchSize = DEFAULT_BATCH, signal, checkCancelled }: EvaluateTasksOptions,
  add: (result: TaskResult) => void,
): Promise<void> {
  const scores = new Map<string, { nats: number[]; perByte: number[] }>(
    tasks.map(({ id }) => [id, { nats: [], perByte: [] }]),
  );
  // Rows of like length together, so that little is padding.
  const byLength = [...rows].sort((a, b) => b.ids.length - a.ids.length);
  for (let at = 0; at < byLength.length; at += batchSize) {
    signal?.throwIfAborted();
    checkCancelled?.();
    const batch = byLength.slice(at, at + batchSize);
    logLikelihoods(model, batch).forEach((nats, i) => {
      const { task, choice, bytes } = batch[i] as ChoiceRow;
      const score = scores.get(task.id);
      if (score === undefined) return;
      score.nats[choice] = nats;
      score.perByte[choice] = nats / bytes;
    });
    await setImmediate();
  }
  for (const { id, choices, answer } of tasks) {
    const { nats, perByte } = scores.get(id) ?? { nats: [], perByte: [] };
    const best = indexOfLargest(nats);
    add({
      id,
      type: 'choice',
      isCorrect: best === answer,
      answer: choices[best] ?? '',
      isCorrectPerByte: indexOfLargest(perByte) === answer,
      logLikelihoods: nats,
    });
  }
}

async function runQuestions(
  model: LlamaModel,
  tokenizer: Tokenizer,
  tasks: readonly GenerateTask[],
  { batchSize = DEFAULT_BATCH, oracle, signal, checkCancelled }: EvaluateTasksOptions,
  add: (result: TaskResult) => void,
): Promise<void> {
  for (const group of sameSettings(tasks)) {
    const [{ stop, max_tokens: maxTokens }] = group;
    const prompts = group.map((task) => questionIds(tokenizer, task));
    const generations = await resultOf(
      generateBatch(model, tokenizer, prompts, {
        temperature: 0,
        stop,
        maxTokens,
        concurrency: batchSize,
        ...(signal === undefined ? {} : { signal }),
      }),
      checkCancelled,
    );
    signal?.throwIfAborted();
    generations.forEach(({ text }, i) => {
      const task = group[i] as GenerateTask;
      const isCorrect = (oracle ?? ORACLES[task.match])(text, task);
      add({ id: task.id, type: 'generate', isCorrect, answer: text });
    });
  }
}

/** Tasks that can be generated in one batch. */
function sameSettings(tasks: readonly GenerateTask[]): [GenerateTask, ...GenerateTask[]][] {
  const groups = new Map<string, [GenerateTask, ...GenerateTask[]]>();
  for (const task of tasks) {
    const key = JSON.stringify([task.max_tokens, task.stop]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [task]);
    else group.push(task);
  }
  return [...groups.values()];
}

function summarizeResults(
  choices: readonly ChoiceTask[],
  results: readonly TaskResult[],
): Pick<TasksEvaluation, 'choice' | 'generate'> {
  const picked = results.filter(({ type }) => type === 'choice');
  const generated = results.filter(({ type }) => type === 'generate');
  const chance = choices.reduce((sum, task) => sum + 1 / task.choices.length, 0) / choices.length;
  const right = (list: readonly TaskResult[]): Accuracy => accuracyOf(list.map(({ isCorrect }) => isCorrect));
  const perByte = accuracyOf(picked.map(({ isCorrectPerByte }) => isCorrectPerByte === true));
  return {
    choice: picked.length === 0 ? null : { ...right(picked), perByte, chance },
    generate: generated.length === 0 ? null : right(generated),
  };
}

function accuracyOf(outcomes: readonly boolean[]): Accuracy {
  const tasks = outcomes.length;
  const correct = outcomes.filter(Boolean).length;
  const accuracy = correct / tasks;
  return { tasks, correct, accuracy, standardError: Math.sqrt((accuracy * (1 - accuracy)) / tasks) };
}

function indexOfLargest(values: readonly number[]): number {
  return values.reduce(
    (best, value, i) => (value > (values[best] ?? Number.NEGATIVE_INFINITY) ? i : best),
    0,
  );
}
