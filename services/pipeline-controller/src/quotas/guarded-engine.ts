import { type GraphSpec, parseRunName, type Run } from '@agentforge/contracts';
import type { JsonObject } from '@bufbuild/protobuf';
import { EnginePort, type NewRun } from '../ports/engine.port.js';
import type { ReadModel } from '../projection/read-model.js';
import type { QuotaUseCases } from './quotas.service.js';

/**
 * The engine behind the quota of artifact bytes: whatever makes steps run, a caller, a schedule or a dead letter that is
 * sent again, is refused with RESOURCE_EXHAUSTED where the project has no room.
 */
export class GuardedEngine extends EnginePort {
  constructor(
    private readonly engine: EnginePort,
    private readonly quotas: Pick<QuotaUseCases, 'checkRoom'>,
    private readonly readModel: Pick<ReadModel, 'run'>,
  ) {
    super();
  }

  async start(run: NewRun): Promise<Run> {
    try {
      await this.#checkRoom(run.name);
    } catch (error) {
      // A run that was accepted is answered for, whatever its project stores by now.
      if ((await this.readModel.run(run.name)) === undefined) throw error;
    }
    return this.engine.start(run);
  }

  async retry(
    name: string,
    stepIds: readonly string[],
    configOverrides: Readonly<Record<string, JsonObject>>,
  ): Promise<Run> {
    await this.#checkRoom(name);
    return this.engine.retry(name, stepIds, configOverrides);
  }

  validate(graph: GraphSpec | undefined) {
    return this.engine.validate(graph);
  }

  pause(name: string): Promise<Run> {
    return this.engine.pause(name);
  }

  resume(name: string): Promise<Run> {
    return this.engine.resume(name);
  }

  cancel(name: string, reason: string): Promise<Run> {
    return this.engine.cancel(name, reason);
  }

  async #checkRoom(run: string): Promise<void> {
    const project = parseRunName(run)?.project;
    if (project !== undefined) await this.quotas.checkRoom(project);
  }
}
