import type { FieldViolation } from '@agentforge/errors';
import type { JsonObject } from '@bufbuild/protobuf';

/** The replicas of phases, which know rules that a schema cannot say. */
export abstract class ConfigChecks {
  /**
   * What a phase says is wrong with a configuration.
   * @returns field paths start with `config`; undefined when nobody answers in time
   */
  abstract ask(
    phase: { readonly name: string; readonly version: string },
    config: JsonObject,
    timeoutMs: number,
  ): Promise<readonly FieldViolation[] | undefined>;
}
