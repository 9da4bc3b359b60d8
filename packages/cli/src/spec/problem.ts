/** A place in a text file; both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One thing wrong with a specification. */
export interface SpecProblem {
  /** Path of the field, for example `steps[1].config.population`; empty for the document itself. */
  readonly path: string;
  /** What is wrong and how to put it right. */
  readonly message: string;
  /** Where in the file; absent when the field came from elsewhere or does not exist. */
  readonly position?: Position;
  /** The `--set` argument that brought the value in, when one did. */
  readonly origin?: string;
}

/** Problems in the order of the file; those without a position last. */
export function sortProblems(problems: readonly SpecProblem[]): SpecProblem[] {
  const line = (problem: SpecProblem) => problem.position?.line ?? Number.MAX_SAFE_INTEGER;
  const column = (problem: SpecProblem) => problem.position?.column ?? 0;
  return [...problems].sort((a, b) => line(a) - line(b) || column(a) - column(b));
}
