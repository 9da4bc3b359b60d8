import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineService, RunEventSchema } from '@agentforge/contracts';
import { createClient } from '@agentforge/service-kit';
import { toBinary } from '@bufbuild/protobuf';
import { randomGraph } from './graphs.mjs';

const PARENT = 'projects/chaos';
/** Whether a run is one of a load, by its name. */
export const isOfLoad = (name) => name.startsWith(`${PARENT}/`);
const TERMINAL = ['runCompleted', 'runFailed', 'runCancelled'];
/** Errors of a system that is being broken; everything else is worth a line. */
const EXPECTED = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'CANCELLED',
  'ABORTED',
  'NOT_FOUND',
]);

/** Identity of an event: the digest of its bytes. */
export const eventDigest = (event) =>
  createHash('sha256').update(toBinary(RunEventSchema, event)).digest('base64').slice(0, 22);

/**
 * Users of the system: a number of runs at any time, each submitted until it is accepted and watched until it ends.
 * They see only what the front door says.
 */
export class Load {
  /** Accepted runs: name, graph. */
  accepted = [];
  /** Events that a watcher was shown: run, revision, digest. */
  seen = [];
  /** Runs whose end a watcher was shown. */
  ended = new Set();
  /** Errors that nobody expects while services die: text, how often. */
  surprises = new Map();
  #pipeline;
  #random;
  #graphOf;
  #isExpected;
  #count = 0;

  /**
   * @param graphOf     what users ask for, from the random numbers and the id of the run
   * @param isExpected  whether an error of a call (`createRun`, `watchRun`) is none that is worth a line
   */
  constructor(
    server,
    random,
    { graphOf = randomGraph, isExpected = (_, { code }) => EXPECTED.has(code), deadlineMs = 5_000 } = {},
  ) {
    this.#pipeline = createClient(PipelineService, server, { deadlineMs, streamDeadlineMs: 60_000 });
    this.#random = random;
    this.#graphOf = graphOf;
    this.#isExpected = isExpected;
  }

  /**
   * Keeps `parallel` runs going until `stop` aborts, then waits for those that have not ended until `giveUp` does.
   * @returns when all ended, or it was given up
   */
  async run(parallel, stop, giveUp) {
    await this.#untilPhaseIsThere(giveUp);
    await Promise.all(Array.from({ length: parallel }, () => this.#user(stop, giveUp)));
    this.#pipeline.close();
  }

  async #untilPhaseIsThere(giveUp) {
    while (!giveUp.aborted) {
      const { phases } = await this.#pipeline.listPhases({}).catch(() => ({ phases: [] }));
      if (phases.some(({ name }) => name === 'probe')) return;
      await sleep(200);
    }
  }

  async #user(stop, giveUp) {
    while (!stop.aborted) {
      const runId = `r${++this.#count}`;
      const graph = this.#graphOf(this.#random, runId);
      if (await this.#submit(runId, graph, stop)) await this.#watch(`${PARENT}/runs/${runId}`, giveUp);
    }
  }

  /** The request id makes it safe to ask again when the answer was lost. */
  async #submit(runId, graph, stop) {
    for (;;) {
      try {
        const { run } = await this.#pipeline.createRun({ parent: PARENT, runId, requestId: runId, graph });
        this.accepted.push({ name: run.name, runId, graph });
        return true;
      } catch (error) {
        this.#note('createRun', error);
        if (stop.aborted) return false;
        await sleep(300);
      }
    }
  }

  async #watch(name, giveUp) {
    let after = 0n;
    while (!giveUp.aborted) {
      try {
        for await (const { update, revision } of this.#pipeline.watchRun(
          { name, afterRevision: after },
          { signal: giveUp },
        )) {
          if (update.case === 'run' && after === 0n) after = revision;
          if (update.case === 'run' && update.value.endTime && revision <= after) return this.ended.add(name);
          if (update.case !== 'event') continue;
          this.seen.push({ run: name, revision, digest: eventDigest(update.value) });
          if (TERMINAL.includes(update.value.payload.case)) return this.ended.add(name);
          after = revision;
        }
      } catch (error) {
        if (!giveUp.aborted) this.#note('watchRun', error);
      }
      await sleep(200);
    }
  }

  #note(call, error) {
    if (this.#isExpected(call, error)) return;
    const text = `${call}: ${error.code ?? error.name} ${error.message}`.slice(0, 200);
    this.surprises.set(text, (this.surprises.get(text) ?? 0) + 1);
  }
}
