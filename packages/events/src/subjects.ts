import { formatRunName, parseRunName } from '@agentforge/contracts';
import { InvalidNameError, InvalidRunNameError } from './events.errors.js';

/** Streams of the engine. */
export const STREAMS = {
  runs: 'FORGE_RUNS',
  tasks: 'FORGE_TASKS',
  reports: 'FORGE_REPORTS',
  progress: 'FORGE_PROGRESS',
  deadLetters: 'FORGE_DEAD_LETTERS',
  audit: 'FORGE_AUDIT',
} as const;

/** Name of a stream. */
export type StreamName = (typeof STREAMS)[keyof typeof STREAMS];

/** Key-value buckets of the engine. */
export const BUCKETS = {
  phases: 'forge-phases',
  checkpoints: 'forge-checkpoints',
  uploads: 'forge-uploads',
  /** Folded history up to a place of the log, in chunks. */
  snapshots: 'forge-snapshots',
  /** What workers advertise; goes when they are silent. */
  capacity: 'forge-capacity',
  /** Leases, one ledger for each pool. */
  leases: 'forge-leases',
  /** Results by the digest of what they depend on. */
  stepCache: 'forge-step-cache',
  /** Answers of subtasks by the digest of what they depend on. */
  answers: 'forge-subtask-answers',
  /** Circuit breakers by phase. */
  breakers: 'forge-breakers',
  /** Schedules by project and id. */
  schedules: 'forge-schedules',
  /** Limits by project. */
  quotas: 'forge-quotas',
  /** Runs by the request ids that asked for them. */
  requests: 'forge-requests',
} as const;

/** Name of the durable consumer that all orchestrator replicas share. */
export const REPORTS_CONSUMER = 'orchestrator';

/** Name of the durable consumer that all replicas of a phase share. */
export function tasksConsumer(phase: string): string {
  return `phase-${checkToken(phase, 'phase')}`;
}

/** Subject of a run's event log. @throws InvalidRunNameError INVALID_ARGUMENT */
export function runSubject(run: string): string {
  return `forge.runs.${runTokens(run)}`;
}

/** The run that a subject of the event log belongs to. */
export function runOfSubject(subject: string): string {
  const [, , project = '', run = ''] = subject.split('.');
  return formatRunName({ project, run });
}

/** Subjects of the task queue of a phase, for consumers. */
export function taskSubjects(phase: string): string {
  return `forge.tasks.${checkToken(phase, 'phase')}.>`;
}

/**
 * Subject of the task of one attempt: its own, so that the stream itself knows whether the attempt is queued, however
 * long it waits.
 */
export function taskSubject(phase: string, attemptId: string): string {
  return `forge.tasks.${checkToken(phase, 'phase')}.${checkAttemptId(attemptId)}`;
}

/** Subject of reports about tasks of a phase. */
export function reportSubject(phase: string): string {
  return `forge.reports.${checkToken(phase, 'phase')}`;
}

/** Subject of a step's progress; without a step that of all steps of the run. */
export function progressSubject(run: string, stepId?: string): string {
  return `forge.progress.${runTokens(run)}.${stepId === undefined ? '*' : checkToken(stepId, 'step')}`;
}

/** Subjects of the progress of all runs. */
export const ALL_PROGRESS = 'forge.progress.*.*.*';

/** Subject of dead letters of one origin. */
export function deadLetterSubject(origin: string): string {
  return `forge.dead.${checkToken(origin, 'origin')}`;
}

/** Subject on which workers ask what to do. */
export const HEARTBEAT_SUBJECT = 'forge.heartbeat';

/** Queue group of those who answer heartbeats. */
export const HEARTBEAT_QUEUE = 'orchestrator';

/** Subject on which the replicas of the engine say that they are there. */
export const REPLICAS_SUBJECT = 'forge.replicas';

/** Subject on which the worker of an attempt is told what to do. */
export function directiveSubject(attemptId: string): string {
  return `forge.directives.${checkAttemptId(attemptId)}`;
}

/** Subject on which the replicas of one version of a phase check configurations. */
export function configChecksSubject(phase: string, version: string): string {
  return `forge.configs.${checkToken(phase, 'phase')}.${checkToken(version, 'version')}`;
}

/** Queue group of those replicas: one of them answers. */
export const CONFIG_CHECKS_QUEUE = 'phase';

/** Subject on which workers of a phase say that others may compute subtasks of their step. */
export function subtaskOffersSubject(phase: string): string {
  return `forge.subtasks.${checkToken(phase, 'phase')}`;
}

/** Subject on which the worker that offered the subtasks of a session is asked for them. */
export function subtaskSessionSubject(phase: string, session: string): string {
  return `forge.subtasks.${checkToken(phase, 'phase')}.${checkToken(session, 'session')}`;
}

/** Id of an attempt: unique over all runs, the same whoever computes it. */
export function attemptIdOf(run: string, stepId: string, number: number): string {
  return `${runTokens(run)}.${checkToken(stepId, 'step')}.${number}`;
}

/** Tokens of a subject that come from outside: no dots, wildcards or white space. */
const TOKEN = /^[A-Za-z0-9_-]{1,63}$/;
/** Attempt ids are tokens joined by dots. */
const ATTEMPT_ID = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** The id itself. @throws InvalidNameError INVALID_ARGUMENT: it cannot be part of a subject */
export function checkAttemptId(attemptId: string): string {
  if (attemptId.length > 255 || !ATTEMPT_ID.test(attemptId)) throw new InvalidNameError('attempt', attemptId);
  return attemptId;
}

function checkToken(text: string, what: string): string {
  if (!TOKEN.test(text)) throw new InvalidNameError(what, text);
  return text;
}

function runTokens(run: string): string {
  const name = parseRunName(run);
  if (!name) throw new InvalidRunNameError(run);
  return `${name.project}.${name.run}`;
}
