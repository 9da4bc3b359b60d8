import {
  add,
  argmax,
  backward,
  crossEntropy,
  detach,
  mulScalar,
  reshape,
  scope,
  tensor,
} from '@agentforge/tensor';
import type { LlamaModel } from '../llama/llama-model.js';
import { haltingLoss } from './halting.js';
import type { Reasoning } from './recursive-reasoner.js';

/** Weight of the halting loss beside that of the tokens. */
const HALTING_WEIGHT = 0.5;
const IGNORE = -100;

/** What a pass of deep supervision measured. */
export interface Supervision {
  /** Nats per token, of each supervision step. */
  readonly lossNats: readonly number[];
  /** Nats per position of the halting head, of each supervision step. */
  readonly haltingNats: readonly number[];
}

/**
 * Adds `weight` times the mean gradient of all supervision steps to the parameters: each step predicts the targets
 * and whether it is right, and goes on from the state of the step before, which its gradient does not enter. All steps
 * are taken, whatever the halting head says. A graph is freed before the next step begins.
 * @param inputs, targets  ids [B, T], row-major; a target of -100 does not count
 * @see Jolicoeur-Martineau 2025, arXiv:2510.04871, section 4; there the weights move after every step
 */
export function superviseDeeply(
  model: LlamaModel,
  inputs: Int32Array,
  targets: Int32Array,
  shape: readonly [number, number],
  weight: number,
): Supervision {
  const { recursion } = model.config;
  if (recursion === undefined || model.recursion === null)
    throw new RangeError('the model has no recursion to supervise');
  const head = model.recursion;
  const lossNats: number[] = [];
  const haltingNats: number[] = [];
  let state: Reasoning | null = null;
  scope(() => {
    for (let step = 0; step < recursion.supervisionSteps; step++) {
      const before: Reasoning | null = state;
      const after: Reasoning = scope(() => {
        const { answer, latent } = model.reason(tensor(inputs, shape), before, step);
        const kept = { answer: detach(answer), latent: detach(latent) };
        const logits = reshape(model.predict(answer), [inputs.length, -1]);
        const best = argmax(logits).toTypedArray();
        const loss = crossEntropy(logits, tensor(targets));
        const isRight = [...targets].map((target, i) => target === best[i]);
        const halting = haltingLoss(
          head.forward(answer),
          isRight,
          [...targets].map((target) => target !== IGNORE),
        );
        lossNats.push(loss.item());
        haltingNats.push(halting.item());
        backward(add(loss, mulScalar(halting, HALTING_WEIGHT)), {
          seed: weight / recursion.supervisionSteps,
        });
        return kept;
      });
      if (before) for (const tensor of Object.values(before)) tensor.dispose();
      state = after;
    }
  });
  return { lossNats, haltingNats };
}
