import { AttemptState, StepState } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import {
  type DeadLetter,
  type DeadLetterHead,
  isTerminalStep,
  openAttempt,
  type QueueReading,
  type StepRecord,
  stepOf,
  stepsIn,
} from '@agentforge/events';
import { Injectable } from '@nestjs/common';
import { matches } from './domain/filter.js';
import { encodePageToken } from './domain/page-token.js';
import { LETTER_FIELDS, letterFields } from './operations.mapper.js';
import { InvalidRequestError, RedriveRefusedError } from './pipeline-controller.errors.js';
import { DeadLetterStore } from './ports/dead-letter-store.port.js';
import { EnginePort } from './ports/engine.port.js';
import { Queues } from './ports/queues.port.js';
import { RunHistory } from './ports/run-history.port.js';
import { checkFilter, checkPageToken, pageSizeViolations } from './queries.js';
import { reaching } from './reaching.js';

const LETTER_PAGE = { standard: 50, most: 1_000 };

/** What operators can do with messages that could not be processed, and see of the queues. */
@Injectable()
export class OperationsUseCases {
  constructor(
    private readonly letters: DeadLetterStore,
    private readonly history: RunHistory,
    private readonly engine: EnginePort,
    private readonly queues: Queues,
  ) {}

  /** One page, newest first. A filter that few meet may give a short page with a continuation. @throws INVALID_ARGUMENT */
  async list(request: {
    readonly pageSize: number;
    readonly pageToken: string;
    readonly filter: string;
  }): Promise<{ readonly letters: readonly DeadLetterHead[]; readonly nextPageToken: string }> {
    const violations = pageSizeViolations(request.pageSize, LETTER_PAGE);
    if (violations.length > 0) throw new InvalidRequestError(violations);
    const terms = checkFilter(request.filter, LETTER_FIELDS);
    const query = ['dead-letters', request.filter];
    const from = checkPageToken(query, request.pageToken);
    const { letters, next } = await reaching(
      this.letters.page({
        limit: request.pageSize || LETTER_PAGE.standard,
        ...(from ? { before: Number(from.sequence) } : {}),
        isWanted: (letter) => matches(terms, letterFields(letter)),
      }),
    );
    return {
      letters,
      nextPageToken: next === undefined ? '' : encodePageToken(query, { sequence: BigInt(next), offset: 0 }),
    };
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  get(sequence: bigint): Promise<DeadLetter> {
    return reaching(this.letters.get(checked(sequence)));
  }

  /**
   * Sends a letter again, or has its run try again what failed in it when that is what is left to do.
   * @throws NOT_FOUND, FAILED_PRECONDITION, RESOURCE_EXHAUSTED, UNAVAILABLE
   */
  async redrive(sequence: bigint): Promise<{ readonly subject: string; readonly isStepRetried: boolean }> {
    const letter = await this.get(sequence);
    if (letter.origin === 'tasks' && letter.run !== '' && (await this.#isPast(letter))) {
      await reaching(this.letters.remove(letter.sequence));
      return { subject: '', isStepRetried: true };
    }
    const { subject } = await reaching(this.letters.redrive(letter.sequence));
    return { subject, isStepRetried: false };
  }

  /** @throws NOT_FOUND, INVALID_ARGUMENT */
  delete(sequence: bigint): Promise<void> {
    return reaching(this.letters.remove(checked(sequence)));
  }

  /** What waits, by stream and phase. */
  listQueues(): Promise<readonly QueueReading[]> {
    return reaching(this.queues.readings());
  }

  /**
   * Whether the attempt of a task is over and its step is, or now will be, tried again: the letter has done its work.
   * @throws FAILED_PRECONDITION  the task is of no use to anybody any more, or the run of a failed step has not ended
   */
  async #isPast(letter: DeadLetter): Promise<boolean> {
    const { run, record, step } = await this.#whereabouts(letter);
    if (!hasFailed(step)) return this.#isSuperseded(letter, step);
    // A run is complete with all of its steps only, so what failed is tried again together, whichever letter is first.
    const failed = [StepState.FAILED, StepState.CANCELLED].flatMap((state) => [...stepsIn(record, state)]);
    try {
      await this.engine.retry(
        run,
        failed.map(({ spec }) => spec.id),
        {},
      );
    } catch (error) {
      // somebody else had it tried again in between
      const { step: now } = await this.#whereabouts(letter);
      if (AppError.from(error).code !== 'FAILED_PRECONDITION' || hasFailed(now)) throw error;
    }
    return true;
  }

  /** @throws FAILED_PRECONDITION  the step has ended, or a worker has this very task */
  #isSuperseded({ sequence, stepId, attemptId }: DeadLetter, step: StepRecord): boolean {
    const open = openAttempt(step);
    if (open?.id === attemptId && open.state === AttemptState.QUEUED) return false;
    if (open?.id !== attemptId && !isTerminalStep(step.state)) return true;
    throw new RedriveRefusedError(
      sequence,
      `its step "${stepId}" is ${StepState[step.state]} and does not wait for this task`,
    );
  }

  /** The run and the step of a task. @throws FAILED_PRECONDITION  there are none */
  async #whereabouts({ sequence, run, stepId }: DeadLetter) {
    const record = await this.history.load(run);
    const step = record && stepOf(record, stepId);
    if (!step) throw new RedriveRefusedError(sequence, `there is no step "${stepId}" of a run "${run}"`);
    return { run, record, step };
  }
}

const hasFailed = ({ state }: StepRecord): boolean =>
  state === StepState.FAILED || state === StepState.CANCELLED;

function checked(sequence: bigint): number {
  if (sequence >= 1n && sequence <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(sequence);
  throw new InvalidRequestError([{ field: 'sequence', description: `is ${sequence}; must be 1 or more` }]);
}
