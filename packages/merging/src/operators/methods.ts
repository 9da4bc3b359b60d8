import { ENTRY_METHODS } from './entry-methods.js';
import type { MergeMethod } from './method.js';
import { TASK_VECTOR_METHODS } from './task-vector-methods.js';
import { WEIGHTED_METHODS } from './weighted-methods.js';

/** Every merge method, by name. */
export const MERGE_METHODS: ReadonlyMap<string, MergeMethod> = new Map(
  [...WEIGHTED_METHODS, ...TASK_VECTOR_METHODS, ...ENTRY_METHODS].map((method) => [method.name, method]),
);
