import { AppError, type FieldViolation } from '@agentforge/errors';
import { InvalidSpecError, UsageError } from '../errors.js';
import type { SpecProblem } from '../spec/problem.js';
import { locateViolations } from '../spec/server-problems.js';
import type { ReadySpec } from './submit-run.js';

/** What a server calls the graph and the labels that came from the specification. */
const TEMPLATE = /^schedule\.template\.(?:graph\.)?/;

/** Words of the command line that set fields of a schedule. */
const ORIGINS: Readonly<Record<string, string>> = {
  schedule_id: 'NAME',
  'schedule.display_name': '--name',
  'schedule.cron': '--cron',
  'schedule.time_zone': '--time-zone',
  'schedule.start_deadline': '--start-deadline',
};

/**
 * Makes a call that changes a schedule; what the server refuses is said of the place in the file, or of the option.
 * @param ready  the specification that the call carries, if it does
 * @throws InvalidSpecError INVALID_ARGUMENT: the specification has problems; those of options are among them
 * @throws UsageError INVALID_ARGUMENT: only options have
 */
export async function scheduleProblems<T>(ready: ReadySpec | undefined, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (thrown) {
    const error = AppError.from(thrown);
    const { fieldViolations } = error;
    if (error.code !== 'INVALID_ARGUMENT' || fieldViolations.length === 0) throw error;
    const ofFile = fieldViolations.filter(({ field }) => TEMPLATE.test(field));
    if (!ready || ofFile.length === 0) throw ofOptions(fieldViolations);
    const others = fieldViolations.filter((violation) => !ofFile.includes(violation));
    const problems = [...locate(ready, ofFile), ...others.map(problemOf)];
    throw new InvalidSpecError(ready.source.file, problems, ready.source.text);
  }
}

function ofOptions(violations: readonly FieldViolation[]): UsageError {
  return new UsageError(
    'the schedule is not valid',
    violations.map(({ field, description }) => ({ field: ORIGINS[field] ?? field, description })),
  );
}

function locate({ document, spec }: ReadySpec, violations: readonly FieldViolation[]): SpecProblem[] {
  const inFile = violations.map(({ field, description }) => ({
    field: field.replace(TEMPLATE, ''),
    description,
  }));
  return locateViolations(document, spec, inFile);
}

function problemOf({ field, description }: FieldViolation): SpecProblem {
  const origin = ORIGINS[field];
  return origin === undefined
    ? { path: field, message: description }
    : { path: '', message: description, origin };
}
