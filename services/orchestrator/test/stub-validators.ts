import {
  type ValidateInputsRequest,
  type ValidateOutputsRequest,
  ValidationService,
} from '@agentforge/contracts';
import { AppError } from '@agentforge/errors';
import { createService, defineSettings, GrpcService, serverSettings } from '@agentforge/service-kit';
import { Module } from '@nestjs/common';

/** What the stub answers; tests change it. */
export const judgements = {
  /** Message of a blocking verdict on inputs; empty to accept. */
  refuseInputs: '',
  /** Message of a blocking verdict on outputs; empty to accept. */
  refuseOutputs: '',
  /** Calls that fail as UNAVAILABLE before one succeeds. */
  unavailable: 0,
  inputCalls: 0,
  outputCalls: 0,
};

const verdict = (message: string) => ({
  validator: 'stub',
  valid: message === '',
  blocking: true,
  errors: message === '' ? [] : [{ field: 'artifact', description: message }],
});

@GrpcService(ValidationService)
class StubController {
  async validateInputs(_: ValidateInputsRequest) {
    judgements.inputCalls++;
    refuseWhenAway();
    return { verdicts: [verdict(judgements.refuseInputs)] };
  }

  async validateOutputs(_: ValidateOutputsRequest) {
    judgements.outputCalls++;
    refuseWhenAway();
    return { verdicts: [verdict(judgements.refuseOutputs)] };
  }

  async listGates() {
    return { gates: [] };
  }
}

function refuseWhenAway(): void {
  if (judgements.unavailable <= 0) return;
  judgements.unavailable--;
  throw new AppError('UNAVAILABLE', 'the stub is away');
}

@Module({ controllers: [StubController] })
class StubModule {}

/** Starts validators that answer what {@link judgements} says. */
export const startStubValidators = () =>
  createService(StubModule, {
    name: 'stub-validators',
    settings: defineSettings(serverSettings({ grpcPort: 0, httpPort: 0 })),
    env: { FORGE_GRPC_PORT: '0', FORGE_HTTP_PORT: '0', FORGE_LOG_LEVEL: 'silent' },
  });
