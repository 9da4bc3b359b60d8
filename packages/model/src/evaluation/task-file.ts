import type { FieldViolation } from '@agentforge/errors';
import { z } from 'zod';
import { InvalidTaskFileError } from './tasks.errors.js';

/** How a generated answer is held against the expected ones. */
export const MATCHES = ['exact', 'prefix', 'number'] as const;

/** Name of an oracle that a file can ask for. */
export type Match = (typeof MATCHES)[number];

const id = z.string().min(1).optional();

const choiceSchema = z
  .strictObject({
    type: z.literal('choice'),
    id,
    prompt: z.string().describe('Text before every choice'),
    choices: z
      .array(z.string().min(1))
      .min(2)
      .max(64)
      .refine((choices) => new Set(choices).size === choices.length, 'must differ from each other'),
    answer: z.int().min(0).describe('Index of the right choice'),
  })
  .refine(({ answer, choices }) => answer < choices.length, {
    path: ['answer'],
    message: 'must be the index of a choice',
  });

const generateSchema = z.strictObject({
  type: z.literal('generate'),
  id,
  prompt: z.string().min(1),
  answer: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)], 'must be a text or a list of texts')
    .transform((answer) => (typeof answer === 'string' ? [answer] : answer))
    .describe('Any of these is right'),
  stop: z.array(z.string().min(1)).default(['\n']).describe('Strings that end the answer'),
  max_tokens: z.int().min(1).max(65_536).default(64).describe('Most tokens of the answer'),
  match: z.enum(MATCHES).default('exact'),
});

const taskSchema = z.discriminatedUnion(
  'type',
  [choiceSchema, generateSchema],
  'must be "choice" or "generate"',
);

/** A question with given answers, of which the likeliest is taken. */
export type ChoiceTask = Readonly<Omit<z.infer<typeof choiceSchema>, 'id'>> & { readonly id: string };

/** A question whose answer is generated, greedily. */
export type GenerateTask = Readonly<Omit<z.infer<typeof generateSchema>, 'id'>> & { readonly id: string };

/** One line of a task file. */
export type Task = ChoiceTask | GenerateTask;

/**
 * Tasks from JSON lines, one a line, blank lines left out:
 *
 *     {"type":"choice","prompt":"2 + 2 =","choices":[" 3"," 4"],"answer":1}
 *     {"type":"generate","prompt":"Q: 17 + 4\nA:","answer":"21","match":"number"}
 *
 * A task without an id is called after its line.
 * @param file  name used in errors
 * @throws InvalidTaskFileError  INVALID_ARGUMENT: every problem; fields are `line N` or `line N: field`
 */
export function parseTasks(text: string, file: string): Task[] {
  const violations: FieldViolation[] = [];
  const tasks: Task[] = [];
  const lineOf = new Map<string, number>();
  text.split(/\r?\n/).forEach((line, at) => {
    if (line.trim() === '') return;
    const task = parseLine(line, `line ${at + 1}`, violations);
    if (task === null) return;
    const before = lineOf.get(task.id);
    if (before !== undefined) {
      violations.push({
        field: `line ${at + 1}: id`,
        description: `${JSON.stringify(task.id)} is also the id of line ${before}`,
      });
    }
    lineOf.set(task.id, at + 1);
    tasks.push(task);
  });
  if (tasks.length === 0 && violations.length === 0) {
    violations.push({ field: 'line 1', description: 'there are no tasks' });
  }
  if (violations.length > 0) throw new InvalidTaskFileError(file, violations);
  return tasks;
}

function parseLine(line: string, where: string, violations: FieldViolation[]): Task | null {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    violations.push({ field: where, description: `is not JSON (${String(error)})` });
    return null;
  }
  const result = taskSchema.safeParse(json);
  if (result.success) return { ...result.data, id: result.data.id ?? where };
  for (const { path, message } of result.error.issues) {
    violations.push({ field: [where, path.join('.')].filter(Boolean).join(': '), description: message });
  }
  return null;
}
