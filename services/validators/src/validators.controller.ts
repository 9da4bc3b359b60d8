import {
  type ListGatesRequest,
  type ValidateInputsRequest,
  type ValidateOutputsRequest,
  ValidationService,
} from '@agentforge/contracts';
import { GrpcService, type ServiceHandlers } from '@agentforge/service-kit';
import type { Judgement } from './domain/verdict.js';
import { MissingResultError } from './validators.errors.js';
import {
  toConfig,
  toPhaseFacts,
  toPortArtifacts,
  toResultFacts,
  toVerdict,
  toWireGate,
} from './validators.mapper.js';
import { ValidatorsUseCases } from './validators.service.js';

/** gRPC edge of the validators. */
@GrpcService(ValidationService)
export class ValidatorsController implements ServiceHandlers<typeof ValidationService> {
  constructor(private readonly useCases: ValidatorsUseCases) {}

  async validateInputs({ phase, inputs }: ValidateInputsRequest) {
    return answer(await this.useCases.judgeInputs(toPhaseFacts(phase), toPortArtifacts(inputs)));
  }

  async validateOutputs({ phase, config, inputs, result }: ValidateOutputsRequest) {
    if (result === undefined) throw new MissingResultError();
    const ports = toPortArtifacts(inputs);
    return answer(
      await this.useCases.judgeOutputs(toPhaseFacts(phase), toConfig(config), ports, toResultFacts(result)),
    );
  }

  async listGates({ phase }: ListGatesRequest) {
    return { gates: this.useCases.listGates(phase).map(toWireGate) };
  }
}

function answer(judgements: readonly Judgement[]) {
  const nowMs = Date.now();
  return { verdicts: judgements.map((judged) => toVerdict(judged, nowMs)) };
}
