import type { GraphSpec, OrchestrationService, Run } from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import type { Client } from '@agentforge/service-kit';
import type { JsonObject } from '@bufbuild/protobuf';
import { EnginePort, type NewRun } from '../ports/engine.port.js';

/** The orchestrator over gRPC. */
export class GrpcEngine extends EnginePort {
  constructor(private readonly client: Client<typeof OrchestrationService>) {
    super();
  }

  async start({ name, displayName, labels, graph, requestId, schedule = '' }: NewRun): Promise<Run> {
    const request = {
      ...{ name, displayName, labels: { ...labels }, requestId, schedule },
      ...(graph ? { graph } : {}),
    };
    return present(await this.client.startExecution(request));
  }

  async validate(graph: GraphSpec | undefined) {
    const answer = await this.client.validateGraph(graph ? { graph } : {});
    return { violations: answer.violations, graph: answer.graph };
  }

  async pause(name: string): Promise<Run> {
    return present(await this.client.pauseExecution({ name }));
  }

  async resume(name: string): Promise<Run> {
    return present(await this.client.resumeExecution({ name }));
  }

  async cancel(name: string, reason: string): Promise<Run> {
    return present(await this.client.cancelExecution({ name, reason }));
  }

  async retry(
    name: string,
    stepIds: readonly string[],
    configOverrides: Readonly<Record<string, JsonObject>>,
  ): Promise<Run> {
    const request = { name, stepIds: [...stepIds], configOverrides: { ...configOverrides } };
    return present(await this.client.retryExecution(request));
  }
}

/** The run of an answer; the contract promises one. */
function present({ run }: { run?: Run | undefined }): Run {
  if (run === undefined) throw new AppError('INTERNAL', 'the orchestrator answered without a run');
  return run;
}
