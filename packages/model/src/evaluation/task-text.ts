import type { Task } from './task-file.js';
import { TasksKnownError } from './tasks.errors.js';

/** A task as text: what is given, and what is to be said. */
export interface TaskText {
  readonly id: string;
  readonly prompt: string;
  /** With what ends it: greedy decoding that is right about all of its tokens stops after exactly this. */
  readonly answer: string;
}

/** Text of a task: its first answer and its first stop string, or its right choice. */
export function taskText(task: Task): TaskText {
  const { id, prompt } = task;
  if (task.type === 'choice') return { id, prompt, answer: task.choices[task.answer] ?? '' };
  return { id, prompt, answer: `${task.answer[0] ?? ''}${task.stop[0] ?? ''}` };
}

/**
 * Tasks that no text learnt from gives away, answer included.
 * @param documents  of the train split
 * @throws TasksKnownError  INVALID_ARGUMENT: none is left
 */
export function unknownTasks(tasks: readonly Task[], documents: readonly string[]): Task[] {
  const unknown = tasks.filter((task) => {
    const { prompt, answer } = taskText(task);
    return !documents.some((text) => text.includes(prompt + answer));
  });
  if (unknown.length === 0) throw new TasksKnownError(tasks.length);
  return unknown;
}
