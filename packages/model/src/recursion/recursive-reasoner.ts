import { add, detach, noGrad, scope, type Tensor } from '@agentforge/tensor';
import type { RecursionConfig } from '../config/recursion-config.js';

/** Answer y and latent state z, f32 [B, T, d] both. */
export interface Reasoning {
  readonly answer: Tensor;
  readonly latent: Tensor;
}

/** The blocks and the final norm, [B, T, d] to [B, T, d]; `call` counts its runs within a forward pass, from 0. */
export type Net = (x: Tensor, call: number) => Tensor;

/**
 * One supervision step: T cycles of z = net(x + y + z), n times, then y = net(y + z). The first T − 1 cycles have no gradient,
 * and none goes back into `before`.
 * @param x          f32 [B, T, d], the tokens
 * @param before     where the step before ended; null: y and z are zero
 * @param firstCall  runs of the net before this step
 * @see Jolicoeur-Martineau 2025, arXiv:2510.04871, figure 3
 */
export function superviseOnce(
  net: Net,
  x: Tensor,
  before: Reasoning | null,
  { latentSteps, cycles }: RecursionConfig,
  firstCall: number,
): Reasoning {
  let call = firstCall;
  const cycle = (state: Reasoning | null): Reasoning => {
    const { answer } = state ?? {};
    let latent = state?.latent;
    const seen = answer ? add(x, answer) : x;
    for (let step = 0; step < latentSteps; step++) latent = net(latent ? add(seen, latent) : seen, call++);
    // n is at least 1, so the latent state is there.
    const done = latent as Tensor;
    return { answer: net(answer ? add(answer, done) : done, call++), latent: done };
  };
  let state = before && { answer: detach(before.answer), latent: detach(before.latent) };
  for (let i = 1; i < cycles; i++) {
    const last = state;
    state = noGrad(() => scope(() => cycle(last)));
  }
  return cycle(state);
}
