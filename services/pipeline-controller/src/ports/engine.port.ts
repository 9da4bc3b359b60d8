import type { FieldViolation, GraphSpec, Run } from '@agentforge/contracts';
import type { JsonObject } from '@bufbuild/protobuf';

/** A run to be accepted. */
export interface NewRun {
  readonly name: string;
  readonly displayName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly graph: GraphSpec | undefined;
  readonly requestId: string;
  /** The schedule that creates it; absent for none. */
  readonly schedule?: string;
}

/** The durable engine. Its errors are meant for callers and pass through. */
export abstract class EnginePort {
  abstract start(run: NewRun): Promise<Run>;
  abstract validate(
    graph: GraphSpec | undefined,
  ): Promise<{ readonly violations: readonly FieldViolation[]; readonly graph?: GraphSpec | undefined }>;
  abstract pause(name: string): Promise<Run>;
  abstract resume(name: string): Promise<Run>;
  abstract cancel(name: string, reason: string): Promise<Run>;
  abstract retry(
    name: string,
    stepIds: readonly string[],
    configOverrides: Readonly<Record<string, JsonObject>>,
  ): Promise<Run>;
}
