/** Whether one condition of readiness holds, and why not. */
export interface ReadinessCheck {
  readonly isReady: boolean;
  readonly reason: string | undefined;
}

type Listener = (isReady: boolean) => void;

/**
 * Whether the service should get traffic: every condition that anybody has reported holds. The
 * service itself reports `listening` and, during a drain, `draining`.
 */
export class Readiness {
  private readonly conditions = new Map<string, ReadinessCheck>();
  private readonly listeners: Listener[] = [];
  private last = false;

  constructor() {
    this.conditions.set('listening', { isReady: false, reason: 'starting' });
  }

  /** Sets one condition. `reason` says why it does not hold. */
  report(name: string, isReady: boolean, reason?: string): void {
    this.conditions.set(name, { isReady, reason: isReady ? undefined : (reason ?? 'not ready') });
    const now = this.isReady();
    if (now === this.last) return;
    this.last = now;
    for (const listener of this.listeners) listener(now);
  }

  /** Whether all conditions hold. */
  isReady(): boolean {
    for (const { isReady } of this.conditions.values()) if (!isReady) return false;
    return true;
  }

  /** Every condition as it is now. */
  checks(): Readonly<Record<string, ReadinessCheck>> {
    return Object.fromEntries(this.conditions);
  }

  /** Calls back whenever the whole changes, and once now. */
  onChange(listener: Listener): void {
    this.listeners.push(listener);
    listener(this.last);
  }
}
