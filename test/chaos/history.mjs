import { readdirSync } from 'node:fs';
import { FolderArtifactStore } from '@agentforge/artifacts';
import { connectEvents } from '@agentforge/events';
import { readJournal } from '../probe-phase/journal.mjs';
import { eventDigest, isOfLoad } from './load.mjs';

/** Reads the log of the load's runs as it is committed, past every proxy: the second witness beside the users' watches. */
export class Witness {
  /** Events in the order they were read: run, revision, digest. */
  seen = [];
  #abort = new AbortController();
  #events;
  #reading;

  /** Begins to read. */
  async start(natsUrl) {
    this.#events = await connectEvents({ servers: natsUrl, name: 'witness' });
    this.#reading = this.#read();
  }

  async #read() {
    for await (const { run, revision, events } of this.#events.runs.tail({ signal: this.#abort.signal }))
      for (const event of isOfLoad(run) ? events : [])
        this.seen.push({ run, revision, digest: eventDigest(event) });
  }

  async stop() {
    this.#abort.abort();
    await this.#reading;
    await this.#events.close();
  }
}

/**
 * Everything of the load's runs that the checker compares, read once nothing happens any more.
 * @returns batches: by run, in the order of the log; checkpointUnits: the unit that each checkpoint goes on with
 */
export async function readHistory({ natsUrl, artifactDir, journalDir }) {
  const events = await connectEvents({ servers: natsUrl, name: 'history' });
  const batches = new Map();
  const end = new AbortController();
  for await (const batch of events.runs.tail({ signal: end.signal, onCaughtUp: () => end.abort() })) {
    const { run, revision, time } = batch;
    if (isOfLoad(run)) {
      const list = batches.get(run) ?? [];
      batches.set(run, list);
      list.push({ ...batch, run, revision, timeMs: time.getTime(), digests: batch.events.map(eventDigest) });
    }
    if (batch.pending === 0) break;
  }
  await events.close();
  return {
    batches,
    checkpointUnits: await checkpointUnits(batches, artifactDir),
    journal: readdirSync(journalDir).length > 0 ? readJournal(journalDir) : [],
  };
}

async function checkpointUnits(batches, artifactDir) {
  const store = await FolderArtifactStore.open({ directory: artifactDir });
  const units = new Map();
  for (const { events } of [...batches.values()].flat())
    for (const { payload } of events) {
      const digest = payload.case === 'stepCheckpointed' ? payload.value.checkpoint?.digest : undefined;
      if (digest === undefined || units.has(digest)) continue;
      const state = JSON.parse(new TextDecoder().decode(await store.readFile(digest, 'state.json')));
      units.set(digest, state.next);
    }
  return units;
}
