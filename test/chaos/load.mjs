import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineService, RunEventSchema, RunState } from '@agentforge/contracts';
import { createClient } from '@agentforge/service-kit';
import { toBinary } from '@bufbuild/protobuf';
import { randomGraph } from './graphs.mjs';

const PARENT = 'projects/chaos';
/** Whether a run is one of a load, by its name. */
export const isOfLoad = (name) => name.startsWith(`${PARENT}/`);
const TERMINAL = ['runCompleted', 'runFailed', 'runCancelled'];
/** What a user asks of a run that exists. Each may come too late: then it is refused for the state of the run. */
const COMMANDS = ['pauseRun', 'resumeRun', 'cancelRun'];
const RETRY_MS = 300;
/** Errors of a system that is being broken; nothing that is broken explains another one. */
const EXPECTED = new Set([
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'CANCELLED',
  'ABORTED',
  'NOT_FOUND',
]);

const isExplained = (call, { code }) =>
  EXPECTED.has(code) || (code === 'FAILED_PRECONDITION' && COMMANDS.includes(call));

/** Identity of an event: the digest of its bytes. */
export const eventDigest = (event) =>
  createHash('sha256').update(toBinary(RunEventSchema, event)).digest('base64').slice(0, 22);

/**
 * Users of the system: a number of runs at any time, each submitted until it is accepted and watched until it ends. Some
 * are paused, and resumed whenever they are seen to be; some are cancelled. Users see only what the front door says.
 */
export class Load {
  /** Accepted runs: name, graph, the commands that were sent, and those that were answered. */
  accepted = [];
  /** Events that a watcher was shown: run, revision, digest. */
  seen = [];
  /** Runs whose end a watcher was shown. */
  ended = new Set();
  /** Errors that nobody expects while services die, by their text: call, code, message, how often. */
  surprises = new Map();
  #pipeline;
  #random;
  #graphOf;
  #wishesOf;
  #isExpected;
  #count = 0;

  /**
   * @param graphOf     what users ask for, from the random numbers and the id of the run
   * @param wishesOf    what they do with it besides watching, from the random numbers
   * @param isExpected  whether an error of a call (`createRun`, `watchRun`, a command) is none that is worth a line
   */
  constructor(
    server,
    random,
    { graphOf = randomGraph, wishesOf = () => ({}), isExpected = isExplained, deadlineMs = 5_000 } = {},
  ) {
    this.#pipeline = createClient(PipelineService, server, { deadlineMs, streamDeadlineMs: 60_000 });
    this.#random = random;
    this.#graphOf = graphOf;
    this.#wishesOf = wishesOf;
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
      const wishes = this.#wishesOf(this.#random);
      const run = await this.#submit(runId, graph, stop);
      if (run === undefined) continue;
      const end = new AbortController();
      const over = AbortSignal.any([end.signal, giveUp]);
      const commands = [
        this.#commandAfter(run, 'pauseRun', wishes.pause?.afterMs, over),
        this.#commandAfter(run, 'cancelRun', wishes.cancelAfterMs, over),
      ];
      const onPaused = () =>
        commands.push(this.#commandAfter(run, 'resumeRun', wishes.pause?.forMs ?? 0, over));
      await this.#watch(run.name, onPaused, giveUp);
      end.abort();
      await Promise.all(commands);
    }
  }

  /** The request id makes it safe to ask again when the answer was lost. */
  async #submit(runId, graph, stop) {
    for (;;) {
      try {
        const { run } = await this.#pipeline.createRun({ parent: PARENT, runId, requestId: runId, graph });
        const accepted = { name: run.name, runId, graph, asked: new Set(), answered: new Set() };
        this.accepted.push(accepted);
        return accepted;
      } catch (error) {
        this.#note('createRun', error);
        if (stop.aborted) return undefined;
        await sleep(RETRY_MS);
      }
    }
  }

  /** Asks until there is an answer: that it is done, or that the run is in no state for it. @param afterMs  undefined: never */
  async #commandAfter({ name, asked, answered }, call, afterMs, over) {
    if (afterMs === undefined) return;
    await sleep(afterMs, undefined, { signal: over }).catch(() => undefined);
    while (!over.aborted) {
      asked.add(call);
      try {
        await this.#pipeline[call]({ name });
        answered.add(call);
        return;
      } catch (error) {
        this.#note(call, error);
        if (error.code === 'FAILED_PRECONDITION') return;
        await sleep(RETRY_MS);
      }
    }
  }

  async #watch(name, onPaused, giveUp) {
    let after = 0n;
    while (!giveUp.aborted) {
      try {
        for await (const { update, revision } of this.#pipeline.watchRun(
          { name, afterRevision: after },
          { signal: giveUp },
        )) {
          if (update.case === 'run' && update.value.state === RunState.PAUSED) onPaused();
          if (update.case === 'run' && after === 0n) after = revision;
          if (update.case === 'run' && update.value.endTime && revision <= after) return this.ended.add(name);
          if (update.case !== 'event') continue;
          this.seen.push({ run: name, revision, digest: eventDigest(update.value) });
          if (update.value.payload.case === 'runPaused') onPaused();
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
    const code = error.code ?? error.name;
    const message = error.message.slice(0, 200);
    const text = `${call}: ${code} ${message}`;
    this.surprises.set(text, { call, code, message, times: (this.surprises.get(text)?.times ?? 0) + 1 });
  }
}
