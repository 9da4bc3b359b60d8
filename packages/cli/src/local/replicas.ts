import { join, resolve } from 'node:path';
import type { FieldViolation } from '@agentforge/errors';
import { InvalidCompositionError } from './local.errors.js';

/** Most processes of one service: more do not fit on one machine. */
const MAX_REPLICAS = 16;
const NAME = /^[a-z][a-z0-9-]*$/;

/** A service that is not one of ours: a phase that is being written, or one for tests. */
export interface ExtraService {
  /** Name of the process and of its log. */
  readonly name: string;
  /** File that starts it: it takes the settings of a service, and writes its address file. */
  readonly main: string;
}

/**
 * Reads `orchestrator=2,phase-cognate=3`.
 * @throws InvalidCompositionError  INVALID_ARGUMENT: a part that is not name=number, or a name twice; all of them
 */
export function parseReplicas(text: string): Record<string, number> {
  const problems: FieldViolation[] = [];
  const replicas: Record<string, number> = {};
  for (const part of text.split(',').map((one) => one.trim())) {
    const [, name = '', count = ''] = /^([a-z][a-z0-9-]*)=(\d+)$/.exec(part) ?? [];
    if (name === '') problems.push({ field: part, description: 'is not of the form service=number' });
    else if (Object.hasOwn(replicas, name)) problems.push({ field: name, description: 'is named twice' });
    else replicas[name] = Number(count);
  }
  if (problems.length > 0) throw new InvalidCompositionError(problems);
  return replicas;
}

/**
 * Reads `phase-mine=./dist/main.js`.
 * @param folder  what a relative path is relative to
 * @throws InvalidCompositionError  INVALID_ARGUMENT
 */
export function parseExtraService(text: string, folder: string): ExtraService {
  const at = text.indexOf('=');
  const name = text.slice(0, Math.max(at, 0));
  const main = text.slice(at + 1);
  if (!NAME.test(name) || main === '')
    throw new InvalidCompositionError([
      { field: text, description: 'is not of the form service=file, for example phase-mine=./dist/main.js' },
    ]);
  return { name, main: resolve(folder, main) };
}

/** @throws InvalidCompositionError  INVALID_ARGUMENT: services that are not started, names twice, numbers out of range */
export function checkComposition(
  services: readonly string[],
  replicas: Readonly<Record<string, number>>,
): void {
  const problems: FieldViolation[] = [];
  const processes = services.flatMap((name) =>
    processNames(name, Math.min(replicas[name] ?? 1, MAX_REPLICAS)),
  );
  for (const name of new Set(processes.filter((name, i) => processes.indexOf(name) !== i)))
    problems.push({ field: name, description: 'is started already; give yours another name' });
  for (const [name, count] of Object.entries(replicas)) {
    if (!services.includes(name))
      problems.push({ field: name, description: `is not started here; known: ${services.join(', ')}` });
    if (!Number.isInteger(count) || count < 1 || count > MAX_REPLICAS)
      problems.push({ field: name, description: `${count} replicas; must be 1 to ${MAX_REPLICAS}` });
  }
  if (problems.length > 0) throw new InvalidCompositionError(problems);
}

/** Names of the processes of a service: `orchestrator`, `orchestrator-2`. */
export function processNames(service: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => (i === 0 ? service : `${service}-${i + 1}`));
}

/** The file that starts a service. */
export function mainOf(service: string, root: string, extra: readonly ExtraService[]): string {
  return (
    extra.find(({ name }) => name === service)?.main ?? join(root, 'services', service, 'dist', 'main.js')
  );
}
