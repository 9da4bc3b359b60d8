import { createHash } from 'node:crypto';
import type { FieldViolation } from '@agentforge/errors';
import type { Logger } from '@agentforge/telemetry';
import type { JsonObject } from '@bufbuild/protobuf';
import { MAX_VIOLATIONS } from './domain/graph-rules.js';
import type { ConfigChecks } from './ports/config-checks.port.js';

/** A configuration, with defaults filled in, that its phase is asked about. */
export interface ConfigQuestion {
  readonly phase: { readonly name: string; readonly version: string };
  readonly config: JsonObject;
  /** Path of the configuration, for the violations. */
  readonly field: string;
}

/** Time that all questions of one call get; what is not answered by then is left to the workers. */
const BUDGET_MS = 2_000;
/** Questions of one call that are open at once. */
const CONCURRENCY = 8;
/** Configurations that are known to be good. */
const MAX_GOOD = 10_000;

/**
 * Asks phases about configurations that keep to their schemas: rules between fields are code that only they have.
 * Nobody has to be there: a phase without a replica, or with slow ones, refuses nothing here, and its worker refuses
 * what is bad when the step starts. That a version of a phase accepts a configuration is remembered.
 */
export class PhaseChecks {
  readonly #good = new Set<string>();

  constructor(
    private readonly checks: ConfigChecks,
    private readonly logger: Logger,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  /** What the phases refuse, in the order of the questions. */
  async judge(questions: readonly ConfigQuestion[]): Promise<FieldViolation[]> {
    const different = new Map<string, ConfigQuestion>();
    const keys = questions.map((question) => {
      const key = keyOf(question);
      if (!this.#good.has(key) && !different.has(key)) different.set(key, question);
      return key;
    });
    const refused = await this.#askAll(different);
    return questions.flatMap(({ field }, i) =>
      (refused.get(keys[i] ?? '') ?? []).map((violation) => below(field, violation)),
    );
  }

  async #askAll(different: ReadonlyMap<string, ConfigQuestion>) {
    const refused = new Map<string, readonly FieldViolation[]>();
    const endMs = this.nowMs() + BUDGET_MS;
    const silent = new Set<string>();
    let violations = 0;
    let unanswered = 0;
    const waiting = different.entries();
    const askOn = async () => {
      for (const [key, { phase, config }] of waiting) {
        // More than are told need not be found.
        if (violations >= MAX_VIOLATIONS) return;
        const leftMs = Math.floor(endMs - this.nowMs());
        const isHopeless = leftMs < 1 || silent.has(phase.name);
        const answer = isHopeless ? undefined : await this.checks.ask(phase, config, leftMs);
        if (answer === undefined) {
          silent.add(phase.name);
          unanswered++;
        } else if (answer.length === 0) {
          this.#remember(key);
        } else {
          refused.set(key, answer);
          violations += answer.length;
        }
      }
    };
    await Promise.all(Array.from({ length: CONCURRENCY }, askOn));
    if (unanswered > 0)
      this.logger.info('config.unchecked', { phase: [...silent].join(', '), count: unanswered });
    return refused;
  }

  #remember(key: string): void {
    const [oldest] = this.#good;
    if (this.#good.size >= MAX_GOOD && oldest !== undefined) this.#good.delete(oldest);
    this.#good.add(key);
  }
}

/** Equal for equal configurations of one version of a phase; another order of fields is asked about once more. */
function keyOf({ phase: { name, version }, config }: ConfigQuestion): string {
  return createHash('sha256')
    .update(JSON.stringify([name, version, config]))
    .digest('base64');
}

/** A violation as a phase says it, at its place in the request. */
function below(field: string, { field: path, description }: FieldViolation): FieldViolation {
  const [, rest = ''] = /^config([.[].*)$/.exec(path) ?? [];
  return { field: field + rest, description };
}
