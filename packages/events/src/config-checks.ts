import { ValidateConfigRequestSchema, ValidateConfigResponseSchema } from '@agentforge/contracts';
import type { FieldViolation } from '@agentforge/errors';
import type { Logger } from '@agentforge/telemetry';
import { create, type JsonObject } from '@bufbuild/protobuf';
import type { Msg } from '@nats-io/transport-node';
import { tokenOf } from './capacity.js';
import {
  configAnswerCodec,
  configQuestionCodec,
  MAX_CONFIG_VIOLATIONS,
  MAX_VIOLATION_FIELD,
  MAX_VIOLATION_TEXT,
} from './codec.js';
import type { Connection } from './stream/connection.js';
import { MAX_MESSAGE_BYTES } from './stream/publisher.js';
import { CONFIG_CHECKS_QUEUE, configChecksSubject } from './subjects.js';

/** Who is asked: another version of a phase may have other rules. */
export interface PhaseVersion {
  readonly name: string;
  readonly version: string;
}

/**
 * Asks phases about configurations, on core NATS: whichever replica of the phase is there answers, and where there is
 * none the server says so at once. Nobody needs an address.
 */
export class ConfigChecks {
  constructor(
    private readonly connection: Connection,
    private readonly logger: Logger | undefined,
  ) {}

  /**
   * Answers for a phase, together with all other replicas of its version. What is too much or too long is cut.
   * @param check  everything that is wrong; one that throws leaves the question unanswered
   */
  answer(
    phase: PhaseVersion,
    check: (config: JsonObject) => readonly FieldViolation[],
  ): { stop(): Promise<void> } {
    const subject = subjectOf(phase);
    const reply = (message: Msg) => {
      try {
        const { config = {} } = configQuestionCodec.decode(message.data);
        const violations = check(config).slice(0, MAX_CONFIG_VIOLATIONS).map(shortened);
        message.respond(configAnswerCodec.encode(create(ValidateConfigResponseSchema, { violations })));
      } catch (error) {
        this.logger?.warn('events.handler_failed', { subject, error });
      }
    };
    const subscription = this.connection.nats.subscribe(subject, {
      queue: CONFIG_CHECKS_QUEUE,
      callback: (error, message) => {
        if (!error) reply(message);
      },
    });
    return {
      stop: async () => {
        if (!subscription.isClosed()) await subscription.drain().catch(() => undefined);
      },
    };
  }

  /**
   * What a phase says is wrong with a configuration.
   * @returns field paths start with `config`; undefined when nobody answered in time, or the configuration is too large
   */
  async ask(
    phase: PhaseVersion,
    config: JsonObject,
    timeoutMs: number,
  ): Promise<readonly FieldViolation[] | undefined> {
    const question = configQuestionCodec.encode(create(ValidateConfigRequestSchema, { config }));
    if (!this.connection.isConnected() || question.length > MAX_MESSAGE_BYTES) return undefined;
    const subject = subjectOf(phase);
    let answer: Msg;
    try {
      answer = await this.connection.nats.request(subject, question, { timeout: timeoutMs });
    } catch {
      // nobody there, no connection, or too slow: all mean that nobody answered
      return undefined;
    }
    try {
      const { violations } = configAnswerCodec.decode(answer.data);
      return violations.map(({ field, description }) => ({ field, description }));
    } catch (error) {
      this.logger?.warn('events.handler_failed', { subject, error });
      return undefined;
    }
  }
}

/** Longest version that is told apart, a token of a subject. */
const MAX_VERSION = 63;

const subjectOf = ({ name, version }: PhaseVersion): string =>
  configChecksSubject(name, tokenOf(version).slice(0, MAX_VERSION));

const shortened = ({ field, description }: FieldViolation): FieldViolation => ({
  field: field.slice(0, MAX_VIOLATION_FIELD),
  description: description.slice(0, MAX_VIOLATION_TEXT),
});
