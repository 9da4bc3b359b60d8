import { ValidationService, type Verdict } from '@agentforge/contracts';
import type { Client } from '@agentforge/service-kit';
import { type InputsToJudge, Judge, type OutputsToJudge } from '../ports/judge.port.js';

/** The validators over gRPC. */
export class GrpcJudge extends Judge {
  constructor(
    private readonly client: Client<typeof ValidationService>,
    private readonly timeoutMs: number,
  ) {
    super();
  }

  async judgeInputs({ phase, config, inputs }: InputsToJudge): Promise<readonly Verdict[]> {
    const request = { phase, config, inputs: [...inputs] };
    return (await this.client.validateInputs(request, this.#options())).verdicts;
  }

  async judgeOutputs({ phase, config, inputs, result }: OutputsToJudge): Promise<readonly Verdict[]> {
    const request = { phase, config, inputs: [...inputs], result };
    return (await this.client.validateOutputs(request, this.#options())).verdicts;
  }

  /** A judgement belongs to the run, not to the call in whose course it became due. */
  #options() {
    return { deadlineMs: this.timeoutMs, detached: true };
  }
}
