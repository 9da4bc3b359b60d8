import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { LocalStack } from '@agentforge/cli';
import { PipelineService } from '@agentforge/contracts';
import { createClient } from '@agentforge/service-kit';
import { CpuWindow, memoryOf } from './processes.mjs';
import { Remote } from './remote.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const PHASE_MAIN = fileURLToPath(new URL('./bench-phase/main.mjs', import.meta.url));
const OBSERVER = new URL('./observer.mjs', import.meta.url).href;
const POLL_MS = 20;
/** Time over which it is looked whether a service rests, ms, and what it may use of a core then. */
const QUIET_MS = 500;
const IDLE_CORES = 0.1;

/** Systems that run: what ends a section that takes too long. */
const running = new Set();

/** All runs of a measurement are in it. */
export const PROJECT = 'projects/bench';

/**
 * Agent Forge as local mode starts it, in a temporary folder: real processes, NATS on disk, gRPC on loopback. Besides
 * the services it has the phase `bench` (the real runtime), and as many fast workers as are asked for.
 */
export class BenchSystem {
  #stack;
  #starting;
  #remotes = new Map();
  /** Settles once everything has ended; undefined while nobody ends it. */
  #stopping;

  constructor(folder) {
    this.folder = folder;
    this.observeDir = join(folder, 'observe');
  }

  /**
   * Starts it.
   * @param env       settings of all services
   * @param replicas  processes by service
   * @param notify    gets a line when something unusual happens
   */
  static async start({ env = {}, replicas = {}, notify = () => undefined } = {}) {
    const system = new BenchSystem(mkdtempSync(join(tmpdir(), 'forge-bench-')));
    running.add(system);
    mkdirSync(system.observeDir);
    try {
      system.#starting = LocalStack.start({
        root: ROOT,
        dataDir: system.folder,
        env: { ...process.env, FORGE_LOG_LEVEL: 'info', ...env },
        command: 'bench:engine',
        phases: [],
        extra: [{ name: 'phase-bench', main: PHASE_MAIN }],
        replicas,
        settingsOf: () => ({
          NODE_OPTIONS: `--import ${OBSERVER}`,
          FORGE_BENCH_OBSERVE_DIR: system.observeDir,
        }),
        notify,
      });
      system.#stack = await system.#starting;
      if (system.#stopping) throw new Error('stopped while it was starting');
      system.pipeline = createClient(PipelineService, system.server, {
        deadlineMs: 60_000,
        waitForReady: true,
      });
      await system.#untilPhaseIsThere('bench');
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  /** Where clients connect. */
  get server() {
    return this.#stack.server;
  }

  get natsUrl() {
    return this.#process('nats-server').address;
  }

  /** Process ids of everything that belongs to it, by name; the fast workers and generators too. */
  get pids() {
    const ours = this.#stack.list().map(({ name, pid }) => [name, pid]);
    const remotes = [...this.#remotes].map(([name, remote]) => [name, remote.pid]);
    return Object.fromEntries([...ours, ...remotes].filter(([, pid]) => pid !== undefined));
  }

  /** Process id of a service; undefined while it is down. */
  pidOf(name) {
    return this.#process(name)?.pid;
  }

  /** Where a service serves /metrics and /readyz. */
  httpOf(name) {
    return this.#process(name).http;
  }

  /** What all processes use of the CPU from now on. */
  cpuWindow() {
    return new CpuWindow(this.pids);
  }

  /** Waits until services have worked off what came before: all but idle for a while. */
  async untilAtRest(services, timeoutMs) {
    const areIdle = async () => {
      const window = this.cpuWindow();
      await sleep(QUIET_MS);
      const { seconds, cpu } = window.read();
      return services.every((service) => cpu[service] < IDLE_CORES * seconds);
    };
    await eventually(`rest of ${services.join(' and ')}`, areIdle, timeoutMs);
  }

  /** Memory of a service as the system sees it. */
  residentBytes(name) {
    return memoryOf(this.pidOf(name));
  }

  /** Memory that a service holds on to: after a collection. */
  async heldBytes(name) {
    const { heapUsed, external, rss } = await this.observe(name, 'memory');
    return { heapBytes: heapUsed + external, residentBytes: rss };
  }

  /** Asks the observer in a service: `memory`, `profile-start`, `profile-stop`. */
  observe(name, command) {
    const socket = connect(join(this.observeDir, `${this.pidOf(name)}.sock`));
    return new Promise((resolve, reject) => {
      let text = '';
      socket.on('connect', () => socket.write(`${command}\n`));
      socket.on('data', (data) => {
        text += data;
      });
      socket.on('error', reject);
      socket.on('end', () => {
        const answer = JSON.parse(text);
        if (answer.error === undefined) resolve(answer);
        else reject(new Error(answer.error));
      });
    });
  }

  /** A process that works on the phase `instant` and makes runs for it. */
  async fastWorker({ concurrency = 64 } = {}) {
    const worker = await this.#remote('worker', './instant-worker.mjs');
    await worker.call('start', { server: this.server, natsUrl: this.natsUrl, concurrency });
    await this.#untilPhaseIsThere('instant');
    return worker;
  }

  /** Processes that send requests or watch runs. */
  generators(count) {
    return Promise.all(Array.from({ length: count }, () => this.#remote('generator', './generator.mjs')));
  }

  /** Ends one generator or worker before the system ends. */
  async dismiss(remote) {
    for (const [name, one] of this.#remotes) if (one === remote) this.#remotes.delete(name);
    await remote.stop();
  }

  /** Ends everything and removes the folder; the same end for every caller. */
  stop() {
    this.#stopping ??= this.#stop().finally(() => running.delete(this));
    return this.#stopping;
  }

  async #stop() {
    this.pipeline?.close();
    await Promise.all([...this.#remotes.values()].map((remote) => remote.stop()));
    // A stack that still starts would write into the folder after it is gone.
    const stack = await this.#starting?.catch(() => undefined);
    await stack?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #process(name) {
    return this.#stack.list().find((process) => process.name === name);
  }

  async #remote(kind, file) {
    const remote = new Remote(new URL(file, import.meta.url));
    let number = 1;
    while (this.#remotes.has(`${kind}-${number}`)) number++;
    this.#remotes.set(`${kind}-${number}`, remote);
    return remote;
  }

  async #untilPhaseIsThere(phase) {
    await eventually(`phase ${phase}`, async () => {
      const { phases } = await this.pipeline.listPhases({});
      return phases.some(({ name }) => name === phase);
    });
  }
}

/** Ends every system that runs. */
export async function stopSystems() {
  await Promise.allSettled([...running].map((system) => system.stop()));
}

/** Waits until a condition holds; fails with its name when it does not in time. */
export async function eventually(what, probe, timeoutMs = 60_000) {
  for (const deadline = performance.now() + timeoutMs; ; ) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
    await sleep(POLL_MS);
  }
}
