import type {
  Checkpoint,
  FileSet,
  InputArtifact,
  PhaseContext,
  StoredBlob,
} from '@agentforge/phase-runtime/worker';
import { smallText } from '../test/small-run.js';
import { type CognateConfig, cognateConfig } from './domain/cognate-config.js';
import { Founding } from './founding.js';

const CONFIG = cognateConfig.parse({
  ...{ tokenizer: 'byte', vocab_size: 257, context_length: 16, sequence_length: 16, batch_size: 4 },
  ...{ count: 1, shared_steps: 1, steps: 2, warmup_steps: 0, eval_interval: 2, eval_tokens: 16 },
  recursion: { latent_steps: 1, cycles: 1, supervision_steps: 2, halt_threshold: 0.5 },
  specialisations: [{ name: 'speed', halt_threshold: 0.01 }],
});

/** Work that has to leave. */
class Evicted extends Error {}

/** A context whose work has to leave at every safe point, or at none, and goes on from there. */
class Machine {
  private saved: FileSet | null = null;
  runs = 0;

  constructor(private readonly isHostile: boolean) {}

  async finish() {
    for (;;) {
      this.runs += 1;
      if (this.runs > 20) throw new Error('the work never ends');
      try {
        return await new Founding(this.context()).run();
      } catch (error) {
        if (!(error instanceof Evicted)) throw error;
      }
    }
  }

  private context(): PhaseContext<CognateConfig> {
    const bytes = async () => new TextEncoder().encode(smallText(40));
    const corpus = { ref: { mediaType: 'text/plain' }, bytes } as unknown as InputArtifact;
    const context: Partial<PhaseContext<CognateConfig>> = {
      config: CONFIG,
      seed: 5n,
      inputs: (port) => (port === 'corpus' ? [corpus] : []),
      progress: () => {},
      throwIfAborted: () => {},
      store: async (content) => ({ digest: 'd', sizeBytes: 0n, bytes: content }) as StoredBlob,
      restore: async (decode) => (this.saved ? decode(checkpointOf(this.saved)) : null),
      isSafePointDue: () => this.isHostile,
      safePoint: async (snapshot) => {
        this.saved = await snapshot();
        throw new Evicted();
      },
    };
    return context as PhaseContext<CognateConfig>;
  }
}

function checkpointOf(files: FileSet): Checkpoint {
  const bytesOf = (file: unknown) =>
    file instanceof Uint8Array ? file : (file as { readonly bytes: Uint8Array }).bytes;
  const checkpoint: Partial<Checkpoint> = {
    files: files as Checkpoint['files'],
    read: async (path) => bytesOf(files.get(path)),
  };
  return checkpoint as Checkpoint;
}

describe('Founding', () => {
  it('comes to its end, and to the same, however often it has to leave, while it evaluates too', async () => {
    const hostile = new Machine(true);
    const [whole, resumed] = [await new Machine(false).finish(), await hostile.finish()];
    const [founder, same] = [whole, resumed].map(({ founders }) => founders.get('founder-speed'));
    expect(same?.losses).toEqual(founder?.losses);
    expect(same?.weights).toEqual(founder?.weights);
    expect(Object.keys(same?.losses ?? {})).toEqual(['train', 'fitness', 'report']);
    // Two steps, three splits, and the run that finds everything done.
    expect(hostile.runs).toBe(2 + 3 + 1);
  }, 120_000);
});
