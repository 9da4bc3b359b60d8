import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LocalStack } from '@agentforge/cli';
import { Network } from './network.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PROBE = fileURLToPath(new URL('../probe-phase/main.mjs', import.meta.url));
const SKEW = new URL('./skew.mjs', import.meta.url).href;
/** Short waits, so that much recovers in little time. */
const SETTINGS = {
  FORGE_TASK_ACK_WAIT_MS: '3000',
  FORGE_ACK_WAIT_MS: '3000',
  FORGE_TAKEOVER_MS: '2000',
  FORGE_TASK_CONCURRENCY: '3',
  FORGE_DRAIN_TIMEOUT_MS: '4000',
  // Less than what all steps that run at once may lease, so that some wait.
  FORGE_POOL_CPU: '2',
};

/** Services that faults happen to. */
export const SERVICES = [
  'orchestrator',
  'orchestrator-2',
  'phase-probe',
  'phase-probe-2',
  'pipeline-controller',
  'validators',
];

/**
 * The whole system as local mode starts it: two orchestrators, two probe workers, front door, validators, NATS; every
 * service behind a network of its own that can be broken.
 */
export class System {
  /** By service. */
  proxies = new Map();
  /** How wrong the clock of a service is from its next start on, ms, by service. */
  clockShiftMs = new Map();
  #stack;
  #natsUrl = '';
  #holders = 0;

  /** @param folder  for everything; a temporary one when absent */
  constructor(folder, notify) {
    this.isTemporary = folder === undefined;
    this.folder = folder ?? mkdtempSync(join(tmpdir(), 'forge-chaos-'));
    this.journalDir = join(this.folder, 'journal');
    this.notify = notify;
  }

  /** Starts everything. */
  async start() {
    mkdirSync(this.journalDir, { recursive: true });
    for (const service of SERVICES) this.proxies.set(service, await Network.start());
    this.#stack = await LocalStack.start({
      root: ROOT,
      dataDir: this.folder,
      env: { ...process.env, ...SETTINGS, FORGE_PROBE_JOURNAL_DIR: this.journalDir },
      command: 'test:chaos',
      phases: [],
      extra: [{ name: 'phase-probe', main: PROBE }],
      replicas: { orchestrator: 2, 'phase-probe': 2 },
      // One that starts may be killed again and again before it is ready; what never comes back fails the drain.
      maxFailedStarts: Number.POSITIVE_INFINITY,
      settingsOf: (name, settings) => this.#settingsOf(name, settings),
      notify: this.notify,
    });
  }

  /** Where clients connect. */
  get server() {
    return this.#stack.server;
  }

  /** Where NATS is, past every proxy. */
  get natsUrl() {
    return this.#natsUrl;
  }

  get artifactDir() {
    return this.#stack.artifactDir;
  }

  /** Rejects when a process cannot be kept alive. */
  get failed() {
    return this.#stack.failed;
  }

  /** Process id of a service or of `nats-server`; undefined while it is down. */
  pidOf(name) {
    return this.#stack.list().find((process) => process.name === name)?.pid;
  }

  /** Sends a signal; false when there is no such process just now. */
  signal(name, signal) {
    const pid = this.pidOf(name);
    if (pid === undefined) return false;
    try {
      return process.kill(pid, signal);
    } catch {
      return false;
    }
  }

  /** Holds everything that services and NATS say to each other, or lets it go on once nobody holds it any more. */
  hold(isHolding) {
    this.#holders += isHolding ? 1 : -1;
    for (const proxy of this.proxies.values()) proxy.hold(this.#holders > 0);
  }

  /** Ends everything. @param isKept  the folder stays */
  async stop(isKept) {
    await this.#stack?.stop();
    for (const proxy of this.proxies.values()) await proxy.stop();
    if (this.isTemporary && !isKept) rmSync(this.folder, { recursive: true, force: true });
  }

  #settingsOf(name, settings) {
    this.#natsUrl = settings.FORGE_NATS_URL;
    const proxy = this.proxies.get(name);
    proxy.lead(this.#natsUrl);
    const shiftMs = this.clockShiftMs.get(name) ?? 0;
    const skew = { NODE_OPTIONS: `--import ${SKEW}`, FORGE_TEST_CLOCK_SHIFT_MS: String(shiftMs) };
    return { FORGE_NATS_URL: proxy.url, ...(shiftMs === 0 ? {} : skew) };
  }
}
