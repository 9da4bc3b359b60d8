import { AppError, type FieldViolation } from '@agentforge/errors';

/** Operands that a merge method cannot merge. */
export class MergeOperandError extends AppError {
  constructor(method: string, problem: string) {
    super('INVALID_ARGUMENT', `${method}: ${problem}`, { reason: 'MERGE_OPERANDS' });
  }
}

/** A place in a recipe, for messages; both count from 1. */
export interface RecipePosition {
  readonly line: number;
  readonly column: number;
}

/** One thing wrong with a recipe: where, what, and how to put it right. */
export interface RecipeProblem {
  /** `slices[1].sources[0].layer_range`; empty for the document itself. */
  readonly path: string;
  readonly message: string;
  /** Absent for what is not in the file. */
  readonly position?: RecipePosition;
}

/** A recipe that cannot be merged by; all its problems are here. */
export class InvalidRecipeError extends AppError {
  constructor(readonly problems: readonly RecipeProblem[]) {
    const lines = problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
    super('INVALID_ARGUMENT', `the recipe has ${countOf(problems)}: ${lines.join('; ')}`, {
      reason: 'INVALID_MERGE_RECIPE',
      fieldViolations: problems.map(
        ({ path, message }): FieldViolation => ({ field: path, description: message }),
      ),
    });
  }
}

/** The folder that a merge would be written to is in use. */
export class OutputExistsError extends AppError {
  constructor(folder: string) {
    super('INVALID_ARGUMENT', `${folder} exists and is not empty: name another folder, or remove it`, {
      reason: 'OUTPUT_EXISTS',
      fieldViolations: [{ field: 'OUT', description: `${folder} is not empty` }],
    });
  }
}

function countOf(problems: readonly RecipeProblem[]): string {
  return problems.length === 1 ? '1 problem' : `${problems.length} problems`;
}
