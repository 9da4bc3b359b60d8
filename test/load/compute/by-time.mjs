import { warmupCosine } from '@agentforge/tensor';

/**
 * Calls `step` with the learning rate of the moment until `seconds` have passed: the rate rises to `peak` over `warmup`
 * seconds, then falls along half a cosine to 0 at the end, however many steps fit in.
 * @param clock  milliseconds that have passed since some moment
 * @returns how many steps were taken
 */
export function trainByTime({ seconds, warmup, peak, clock = () => performance.now() }, step) {
  const rate = warmupCosine({ peak, floor: 0, warmupSteps: 1000 * warmup, totalSteps: 1000 * seconds });
  const started = clock();
  for (let steps = 0; ; steps++) {
    const passed = clock() - started;
    if (passed >= 1000 * seconds) return steps;
    step(rate(passed));
  }
}
