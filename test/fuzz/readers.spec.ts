import { fileURLToPath } from 'node:url';
import { appendCorpus, campaign, examine, nameOf, readCorpus, writeCorpus } from './campaign.js';
import { READERS } from './readers.js';
import { shards } from './shards.js';

/** Set by `pnpm fuzz`. Without it, the corpus and a few hundred new inputs are read. */
const minutes = Number(process.env['FORGE_FUZZ_MINUTES'] ?? 0);
const seed = Number(process.env['FORGE_FUZZ_SEED'] ?? 1);
const only = process.env['FORGE_FUZZ_TARGET'];
/** What one target's corpus may weigh in the repository. */
const CORPUS_BYTES = 40_000;

const TARGETS = { ...READERS, shards };
const targets = (['safetensors', 'shards', 'gguf'] as const).filter(
  (name) => only === undefined || only === name,
);

describe.each(targets)('%s reader', (name) => {
  const target = TARGETS[name];
  const file = fileURLToPath(new URL(`./corpus/${name}.hex`, import.meta.url));
  const corpus = readCorpus(file);

  it('reads the files that are damaged here', async () => {
    for (const bytes of await target.seeds()) expect(await target.read(bytes)).toMatch(/^\d+ tensors/);
  });

  it('refuses every file of the corpus, or reads all of it', async () => {
    expect(corpus.length).toBeGreaterThan(0);
    for (const bytes of corpus) {
      const { broken } = await examine(target, bytes);
      if (broken !== null) throw new Error(`${nameOf(bytes)}: ${broken}`);
    }
  });

  it(
    'refuses damaged files with INVALID_ARGUMENT or NOT_FOUND, or reads all of them, within a second and 64 MB',
    async () => {
      const pool = new Map<string, Uint8Array>();
      const bounds = minutes > 0 ? { minutes } : { executions: 600 };
      const { executions, outcomes, findings } = await campaign(target, corpus, pool, { seed, ...bounds });
      if (minutes > 0) {
        console.log(
          `${name}: seed ${seed}, ${executions} executions, ${outcomes} outcomes, ${findings.length} findings`,
        );
        if (findings.length === 0) writeCorpus(file, pool.values(), CORPUS_BYTES);
        else
          appendCorpus(
            file,
            findings.map(({ bytes }) => bytes),
          );
      }
      expect(findings.map(({ bytes, what }) => `seed ${seed}, ${nameOf(bytes)}: ${what}`)).toEqual([]);
    },
    (minutes + 1) * 60_000,
  );
});
