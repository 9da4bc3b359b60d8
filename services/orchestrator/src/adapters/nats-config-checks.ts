import type { FieldViolation } from '@agentforge/errors';
import type { Events } from '@agentforge/events';
import type { JsonObject } from '@bufbuild/protobuf';
import { ConfigChecks } from '../ports/config-checks.port.js';

/** Replicas of phases behind core NATS. */
export class NatsConfigChecks extends ConfigChecks {
  constructor(private readonly checks: Events['configChecks']) {
    super();
  }

  ask(
    phase: { readonly name: string; readonly version: string },
    config: JsonObject,
    timeoutMs: number,
  ): Promise<readonly FieldViolation[] | undefined> {
    return this.checks.ask(phase, config, timeoutMs);
  }
}
