import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RunEventBatchSchema, RunSchema } from '@agentforge/contracts';
import { toJson } from '@bufbuild/protobuf';
import { sizeDelimitedDecodeStream } from '@bufbuild/protobuf/wire';
import { foldRun, RUN_TRANSITIONS, type RunRecord, STEP_TRANSITIONS, toRun } from '../src/index.js';

const FOLDER = fileURLToPath(new URL('../../../test/golden/histories/', import.meta.url));

/** Kinds that no engine writes: logs may have them all the same. */
const UNWRITTEN: ReadonlySet<string> = new Set(['stepSkipped']);
/** What the recorded histories must cover between them. */
const KINDS = [...Object.keys(RUN_TRANSITIONS), ...Object.keys(STEP_TRANSITIONS)].filter(
  (kind) => !UNWRITTEN.has(kind),
);

async function* once(bytes: Uint8Array) {
  yield bytes;
}

const names = (await readdir(FOLDER))
  .filter((file) => file.endsWith('.binpb'))
  .map((file) => file.slice(0, -'.binpb'.length))
  .sort();

describe('a recorded history', () => {
  const seen = new Set<string>();

  it.each(names)('folds to the state that it had when it was recorded: %s', async (name) => {
    const bytes = await readFile(join(FOLDER, `${name}.binpb`));
    let state: RunRecord | undefined;
    let revision = 0n;
    for await (const batch of sizeDelimitedDecodeStream(RunEventBatchSchema, once(bytes))) {
      for (const { payload } of batch.events) seen.add(payload.case ?? 'unknown');
      state = foldRun(state, { run: batch.run, events: batch.events }, ++revision);
    }
    if (state === undefined) throw new Error(`${name}.binpb has no events`);
    const expected: unknown = JSON.parse(await readFile(join(FOLDER, `${name}.json`), 'utf8'));
    // A difference here means that runs which exist would stand elsewhere after an upgrade: test/golden/histories/README.md.
    expect(toJson(RunSchema, toRun(state))).toEqual(expected);
  });

  it('is there of every kind of event that engines write', () => {
    expect(KINDS.filter((kind) => !seen.has(kind))).toEqual([]);
  });
});
