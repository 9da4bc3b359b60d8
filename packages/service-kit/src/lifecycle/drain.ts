import { setMaxListeners } from 'node:events';
import type { Logger } from '@agentforge/telemetry';

/** Phases of a drain in their order. Hooks of one phase run together; the next phase waits for them. */
export const DRAIN_PHASES = ['not-ready', 'stop-pulling', 'finish', 'hand-back', 'close'] as const;

/** One phase of a drain. */
export type DrainPhase = (typeof DRAIN_PHASES)[number];

/** Work of one phase. The signal aborts when its time is up; what is not done then is left behind. */
export type DrainHook = (signal: AbortSignal) => void | Promise<void>;

/** Part of the whole time by whose end a phase is over: finishing work gets most, handing back always some. */
const PHASE_END: Readonly<Record<DrainPhase, number>> = {
  'not-ready': 0.1,
  'stop-pulling': 0.2,
  finish: 0.8,
  'hand-back': 0.9,
  close: 1,
};

/** Listeners of the signal that are no leak: more than a service may have open streams. */
const MAX_LISTENERS = 1_000_000;

/** How a drain ended. */
export interface DrainResult {
  /** Phases that ran out of time. */
  readonly forced: readonly DrainPhase[];
}

interface Registered {
  readonly name: string;
  readonly hook: DrainHook;
}

/**
 * Stops a service as a good citizen: it becomes not ready, stops taking work, finishes or
 * checkpoints what it has, hands back what it cannot finish, and closes. Runs once.
 */
export class Drain {
  private readonly hooks = new Map<DrainPhase, Registered[]>(DRAIN_PHASES.map((phase) => [phase, []]));
  private readonly started = new AbortController();
  private readonly hurry = new AbortController();
  private running: Promise<DrainResult> | undefined;

  constructor(
    private readonly log: Logger,
    /** Time for all phases, ms. */
    private readonly timeoutMs: number,
    /** Time between becoming not ready and `stop-pulling`, ms; not part of the timeout. */
    private readonly graceMs = 0,
  ) {
    // Every open stream listens to it: how many there may be is the transport's limit.
    setMaxListeners(MAX_LISTENERS, this.started.signal);
  }

  /** Aborts when the drain begins. */
  get signal(): AbortSignal {
    return this.started.signal;
  }

  /** Registers work for a phase. */
  on(phase: DrainPhase, name: string, hook: DrainHook): void {
    this.hooks.get(phase)?.push({ name, hook });
  }

  /** Runs the drain, or returns the one that runs. Never throws. */
  run(reason: string): Promise<DrainResult> {
    this.running ??= this.runPhases(reason);
    return this.running;
  }

  /** Takes all remaining time away: every phase is cut short. */
  force(): void {
    this.hurry.abort();
  }

  private async runPhases(reason: string): Promise<DrainResult> {
    const startedAt = Date.now();
    this.log.info('drain.started', { reason });
    this.started.abort();
    const forced: DrainPhase[] = [];
    let base = startedAt;
    for (const phase of DRAIN_PHASES) {
      const isComplete = await this.runPhase(phase, base + this.timeoutMs * PHASE_END[phase]);
      if (!isComplete) forced.push(phase);
      if (phase === 'not-ready' && this.graceMs > 0) {
        await sleep(this.graceMs, this.hurry.signal);
        base += this.graceMs;
      }
    }
    this.log.info('drain.finished', {
      durationMs: Date.now() - startedAt,
      outcome: forced.length > 0 ? 'forced' : 'clean',
    });
    return { forced };
  }

  private async runPhase(phase: DrainPhase, endsAt: number): Promise<boolean> {
    const hooks = this.hooks.get(phase) ?? [];
    if (hooks.length === 0) return true;
    this.log.debug('drain.phase', { name: phase, count: hooks.length });
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(), Math.max(0, endsAt - Date.now()));
    const hurry = () => deadline.abort();
    if (this.hurry.signal.aborted) hurry();
    this.hurry.signal.addEventListener('abort', hurry, { once: true });
    const pending = new Set(hooks.map(({ name }) => name));
    const all = Promise.all(
      hooks.map(async ({ name, hook }) => {
        try {
          await hook(deadline.signal);
        } catch (error) {
          this.log.error('drain.forced', { name: phase, operation: name, error });
        }
        pending.delete(name);
      }),
    );
    await Promise.race([all, cutShort(deadline.signal)]);
    clearTimeout(timer);
    this.hurry.signal.removeEventListener('abort', hurry);
    if (pending.size === 0) return true;
    this.log.warn('drain.forced', { name: phase, operation: [...pending].join(', ') });
    return false;
  }
}

/** Time a hook gets to react after its signal aborted, before it is left behind, ms. */
const REACTION_MS = 250;

async function cutShort(signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const later = () => setTimeout(resolve, REACTION_MS).unref();
    if (signal.aborted) later();
    else signal.addEventListener('abort', later, { once: true });
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
