import { formatRunName } from '@agentforge/contracts';

/** What a message is about, as far as it can be told without its bytes. Empty where it cannot. */
export interface LetterSubject {
  readonly run: string;
  readonly stepId: string;
  readonly attemptId: string;
  readonly phase: string;
}

/** Attempt ids: project, run, step, number. */
const ATTEMPT = /^([a-z0-9-]+)\.([a-z0-9-]+)\.([A-Za-z0-9_-]+)\.[1-9]\d*$/;

/**
 * What a message is about, from its subject and its de-duplication id: the subject of a task ends with its attempt, the
 * id of a task or report begins with it. Works for messages whose bytes are unreadable.
 */
export function letterSubjectOf(subject: string, messageId = ''): LetterSubject {
  const [, stream = '', second = '', third = '', ...rest] = subject.split('.');
  if (stream === 'runs')
    return { run: formatRunName({ project: second, run: third }), stepId: '', attemptId: '', phase: '' };
  const attemptId = rest.length > 0 ? [third, ...rest].join('.') : (messageId.split(':', 1)[0] ?? '');
  const [isAttempt, project = '', run = '', stepId = ''] = ATTEMPT.exec(attemptId) ?? [];
  if (isAttempt === undefined) return { run: '', stepId: '', attemptId: '', phase: second };
  return { run: formatRunName({ project, run }), stepId, attemptId, phase: second };
}
