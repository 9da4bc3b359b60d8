import { EvictingMachine } from '@agentforge/phase-runtime/testing';
import type { InputArtifact, PhaseContext } from '@agentforge/phase-runtime/worker';
import { smallText } from '../test/small-run.js';
import { type CognateConfig, cognateConfig } from './domain/cognate-config.js';
import { Founding } from './founding.js';

const CONFIG = cognateConfig.parse({
  ...{ tokenizer: 'byte', vocab_size: 257, context_length: 16, sequence_length: 16, batch_size: 4 },
  ...{ count: 1, shared_steps: 1, steps: 2, warmup_steps: 0, eval_interval: 2, eval_tokens: 16 },
  recursion: { latent_steps: 1, cycles: 1, supervision_steps: 2, halt_threshold: 0.5 },
  specialisations: [{ name: 'speed', halt_threshold: 0.01 }],
});

const bytes = async () => new TextEncoder().encode(smallText(40));
const corpus = { ref: { mediaType: 'text/plain' }, bytes } as unknown as InputArtifact;

const machine = (isHostile: boolean) =>
  new EvictingMachine<CognateConfig>(isHostile, {
    config: CONFIG,
    seed: 5n,
    inputs: (port) => (port === 'corpus' ? [corpus] : []),
  });

describe('Founding', () => {
  it('comes to its end, and to the same, however often it has to leave, while it evaluates too', async () => {
    const work = (context: PhaseContext<CognateConfig>) => new Founding(context).run();
    const hostile = machine(true);
    const [whole, resumed] = [await machine(false).finish(work), await hostile.finish(work)];
    const [founder, same] = [whole, resumed].map(({ founders }) => founders.get('founder-speed'));
    expect(same?.losses).toEqual(founder?.losses);
    expect(same?.weights).toEqual(founder?.weights);
    expect(Object.keys(same?.losses ?? {})).toEqual(['train', 'fitness', 'report']);
    // Two steps, three splits, and the run that finds everything done.
    expect(hostile.runs).toBe(2 + 3 + 1);
  }, 120_000);
});
