import { parseBytes } from './bytes.js';
import { Checker, type JsonValue, type PlainMap } from './checker.js';
import { SpecDocument } from './document.js';
import {
  CACHE_WORDS,
  type ContentItem,
  FAILURE_WORDS,
  type InputSource,
  type ResourceSpec,
  type RetrySpec,
  type RunSpec,
  STEP_KINDS,
  type StepDraft,
  type StepKindName,
  type TimeoutSpec,
} from './draft.js';
import { checkGraph } from './graph-check.js';
import type { FieldPath } from './path.js';
import { type SpecProblem, sortProblems } from './problem.js';

const SPEC_FIELDS = [
  'name',
  'run',
  'project',
  'labels',
  'seed',
  'priority',
  'max_parallel_steps',
  'deadline',
  'steps',
];
const STEP_FIELDS = [
  'id',
  'kind',
  'phase',
  'config',
  'inputs',
  'after',
  'retry',
  'timeouts',
  'seed',
  'allow_fallback',
  'cache',
  'resources',
];
const RESOURCE_FIELDS = ['cpu', 'memory', 'gpus', 'gpu_memory'];
const RETRY_FIELDS = [
  'max_attempts',
  'initial_interval',
  'backoff_coefficient',
  'max_interval',
  'jitter',
  'classes',
  'non_retryable_reasons',
];
const TIMEOUT_FIELDS = ['schedule_to_start', 'start_to_close', 'heartbeat'];

const STEP_ID = {
  pattern: /^[a-z0-9][a-z0-9_-]{0,62}$/,
  summary: 'lower-case letters, digits, "-" and "_", at most 63',
};
const NAME = {
  pattern: /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
  summary: 'lower-case letters, digits and "-", 1 to 63 characters',
};
const REASON = {
  pattern: /^[A-Z][A-Z0-9_]{0,62}$/,
  summary: 'a reason as failures carry it, for example OUT_OF_MEMORY',
};
const DIGEST = { pattern: /^sha256:[0-9a-f]{64}$/, summary: '"sha256:" and 64 hexadecimal digits' };
const OUTPUT = {
  pattern: /^[a-z0-9][a-z0-9_-]*\.[a-z0-9_-]+$/,
  summary: 'STEP.OUTPUT, for example founders.models',
};

export type {
  ContentItem,
  InputSource,
  ResourceSpec,
  RetrySpec,
  RunSpec,
  StepDraft,
  StepKindName,
  TimeoutSpec,
} from './draft.js';

/** A parsed specification, everything wrong with it, and where its fields stand. */
export interface ParsedSpec {
  /** Present when there are no problems. */
  readonly spec?: RunSpec;
  /** Every problem, in the order of the file. */
  readonly problems: readonly SpecProblem[];
  /** Places of fields, also for problems that a server finds later. */
  readonly document: SpecDocument;
}

/**
 * Reads a specification and checks all that can be known without a server: syntax, fields, types, ids, references
 * between steps, cycles. Reports every problem at once.
 */
export function parseRunSpec(text: string, overrides: readonly string[] = []): ParsedSpec {
  const document = new SpecDocument(text, overrides);
  if (document.problems.length > 0) return { problems: sortProblems(document.problems), document };
  const check = new Checker(document);
  const value = document.toValue();
  if (document.problems.length > 0) return { problems: document.problems, document };
  const spec = readSpec(check, value);
  if (spec) checkGraph(check, spec.steps);
  const problems = sortProblems(check.problems);
  return spec && problems.length === 0 ? { spec, problems, document } : { problems, document };
}

function readSpec(check: Checker, value: unknown): RunSpec | undefined {
  const root = check.map(value ?? {}, [], SPEC_FIELDS);
  if (!root) return undefined;
  const steps = check.list(root['steps'], ['steps']);
  if (steps.length === 0) check.refuse(['steps'], 'a run needs at least one step under "steps"');
  return {
    name: check.text(root['name'], ['name']) ?? '',
    run: check.text(root['run'], ['run'], NAME) ?? '',
    project: check.text(root['project'], ['project'], NAME),
    labels: readLabels(check, root['labels']),
    seed: check.seed(root['seed'], ['seed']) ?? 0n,
    maxParallelSteps: check.integer(root['max_parallel_steps'], ['max_parallel_steps'], 0, 10_000) ?? 0,
    priority: check.integer(root['priority'], ['priority'], -1_000, 1_000) ?? 0,
    deadlineMs: check.duration(root['deadline'], ['deadline']),
    steps: steps.flatMap((step, index) => readStep(check, step, ['steps', index]) ?? []),
  };
}

function readLabels(check: Checker, value: unknown): Record<string, string> {
  if (value === undefined || value === null) return {};
  const labels = check.map(value, ['labels']) ?? {};
  return Object.fromEntries(
    Object.entries(labels).map(([key, text]) => [key, check.text(text, ['labels', key]) ?? '']),
  );
}

function readStep(check: Checker, value: unknown, path: FieldPath): StepDraft | undefined {
  const step = check.map(value, path, STEP_FIELDS);
  if (!step) return undefined;
  const kind = readKind(check, step['kind'], [...path, 'kind']);
  if (step['id'] === undefined) check.refuse([...path, 'id'], 'every step needs an id', 'key');
  if (kind === 'phase' && step['phase'] === undefined) {
    check.refuse(
      [...path, 'phase'],
      'a step needs a phase, for example cognate; "forge phase list" shows them',
      'key',
    );
  }
  const config = step['config'] === undefined ? {} : check.map(step['config'] ?? {}, [...path, 'config']);
  return {
    id: check.text(step['id'], [...path, 'id'], STEP_ID) ?? '',
    kind,
    phase: check.text(step['phase'], [...path, 'phase']) ?? '',
    config: check.json(config ?? {}, [...path, 'config']) as { [key: string]: JsonValue },
    inputs: readInputs(check, step['inputs'], [...path, 'inputs']),
    after: check
      .list(step['after'], [...path, 'after'])
      .flatMap((id, index) => check.text(id, [...path, 'after', index]) ?? []),
    retry: readRetry(check, step['retry'], [...path, 'retry']),
    timeouts: readTimeouts(check, step['timeouts'], [...path, 'timeouts']),
    seed: check.seed(step['seed'], [...path, 'seed']),
    allowFallback: check.flag(step['allow_fallback'], [...path, 'allow_fallback']),
    cache: readWord(check, step['cache'], [...path, 'cache'], CACHE_WORDS),
    resources: readResources(check, step['resources'], [...path, 'resources']),
  };
}

function readKind(check: Checker, value: unknown, path: FieldPath): StepKindName {
  if (value === undefined || value === null) return 'phase';
  const kind = STEP_KINDS.find((name) => name === value);
  if (kind) return kind;
  check.refuse(path, `unknown kind; known: ${STEP_KINDS.join(', ')}`);
  return 'phase';
}

/** One of a few words. */
function readWord<Word extends string>(
  check: Checker,
  value: unknown,
  path: FieldPath,
  words: readonly Word[],
): Word | undefined {
  const text = check.text(value, path);
  const word = words.find((known) => known === text);
  if (text !== undefined && word === undefined)
    check.refuse(path, `${JSON.stringify(text)} is not known; known: ${words.join(', ')}`);
  return word;
}

function readInputs(check: Checker, value: unknown, path: FieldPath): StepDraft['inputs'] {
  if (value === undefined || value === null) return [];
  const inputs = check.map(value, path) ?? {};
  return Object.entries(inputs).flatMap(([port, source]) => {
    const read = readSource(check, source, [...path, port]);
    return read ? [{ port, source: read }] : [];
  });
}

function readSource(check: Checker, value: unknown, path: FieldPath): InputSource | undefined {
  if (Array.isArray(value)) {
    if (value.length === 0) return check.refuse(path, 'the list is empty');
    const items = value.map((item, index) => readContent(check, item, [...path, index]));
    return { kind: 'content', items: items.flatMap((item) => item ?? []) };
  }
  if (value !== null && typeof value === 'object' && 'from' in value) {
    const source = check.map(value, path, ['from']) as PlainMap;
    const from = check.text(source['from'], [...path, 'from'], OUTPUT);
    const [stepId, output] = (from ?? '').split('.');
    return stepId && output ? { kind: 'output', stepId, output } : undefined;
  }
  const item = readContent(check, value, path);
  return item ? { kind: 'content', items: [item] } : undefined;
}

function readContent(check: Checker, value: unknown, path: FieldPath): ContentItem | undefined {
  const source = check.map(value, path, ['artifact', 'file', 'type']);
  if (!source) return undefined;
  const type = check.text(source['type'], [...path, 'type'], NAME);
  if (source['artifact'] !== undefined && source['file'] === undefined) {
    const digest = check.text(source['artifact'], [...path, 'artifact'], DIGEST);
    return digest ? { kind: 'artifact', digest, path: [...path, 'artifact'] } : undefined;
  }
  const file = check.text(source['file'], [...path, 'file']);
  if (file && source['artifact'] === undefined) {
    return { kind: 'file', file, path: [...path, 'file'], ...(type ? { type } : {}) };
  }
  return check.refuse(path, 'expected one of {from: STEP.OUTPUT}, {artifact: sha256:…}, {file: PATH}', 'key');
}

function readRetry(check: Checker, value: unknown, path: FieldPath): RetrySpec | undefined {
  const retry = value === undefined ? undefined : check.map(value, path, RETRY_FIELDS);
  return (
    retry && {
      maxAttempts: check.integer(retry['max_attempts'], [...path, 'max_attempts'], 1, 100),
      initialIntervalMs: check.duration(retry['initial_interval'], [...path, 'initial_interval']),
      backoffCoefficient: check.number(
        retry['backoff_coefficient'],
        [...path, 'backoff_coefficient'],
        1,
        100,
      ),
      maxIntervalMs: check.duration(retry['max_interval'], [...path, 'max_interval']),
      jitter: check.number(retry['jitter'], [...path, 'jitter'], 0, 1),
      classes: check
        .list(retry['classes'], [...path, 'classes'])
        .flatMap((word, i) => readWord(check, word, [...path, 'classes', i], FAILURE_WORDS) ?? []),
      nonRetryableReasons: check
        .list(retry['non_retryable_reasons'], [...path, 'non_retryable_reasons'])
        .flatMap((word, i) => check.text(word, [...path, 'non_retryable_reasons', i], REASON) ?? []),
    }
  );
}

function readResources(check: Checker, value: unknown, path: FieldPath): ResourceSpec | undefined {
  const resources = value === undefined ? undefined : check.map(value, path, RESOURCE_FIELDS);
  return (
    resources && {
      cpu: check.number(resources['cpu'], [...path, 'cpu'], 0, 4_096) ?? 0,
      memoryBytes: readBytes(check, resources['memory'], [...path, 'memory']),
      gpus: check.integer(resources['gpus'], [...path, 'gpus'], 0, 64) ?? 0,
      gpuMemoryBytes: readBytes(check, resources['gpu_memory'], [...path, 'gpu_memory']),
    }
  );
}

function readBytes(check: Checker, value: unknown, path: FieldPath): bigint {
  if (value === undefined || value === null) return 0n;
  const bytes = parseBytes(value);
  if (bytes === undefined)
    check.refuse(path, 'expected a number of bytes, or one with a unit: 512MiB, 1.5GiB, 2GB');
  return bytes ?? 0n;
}

function readTimeouts(check: Checker, value: unknown, path: FieldPath): TimeoutSpec | undefined {
  const timeouts = value === undefined ? undefined : check.map(value, path, TIMEOUT_FIELDS);
  return (
    timeouts && {
      scheduleToStartMs: check.duration(timeouts['schedule_to_start'], [...path, 'schedule_to_start']),
      startToCloseMs: check.duration(timeouts['start_to_close'], [...path, 'start_to_close']),
      heartbeatMs: check.duration(timeouts['heartbeat'], [...path, 'heartbeat']),
    }
  );
}
