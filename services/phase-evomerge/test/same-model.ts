import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ArtifactStore } from '@agentforge/artifacts';
import type { ArtifactRef } from '@agentforge/contracts';
import { parseRecipe, prepareMerge, runMerge } from '@agentforge/merging';
import { filesOf } from './parents.js';

/** Makes a model again by its recipe, from folders of the parents, and compares its files to the byte. */
export async function expectSameModel(
  store: ArtifactStore,
  parents: readonly ArtifactRef[],
  yaml: string,
  expected: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'evomerge-recipe-'));
  try {
    for (const { name, digest } of parents) {
      await mkdir(join(folder, name));
      for (const [path, bytes] of await filesOf(store, digest)) {
        await writeFile(join(folder, name, path), bytes);
      }
    }
    await runMerge(await prepareMerge(parseRecipe(yaml), folder), yaml, join(folder, 'out'));
    for (const name of ['model.safetensors', 'config.json', 'tokenizer.json']) {
      expect((await readFile(join(folder, 'out', name))).equals(expected.get(name) as Uint8Array)).toBe(true);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
