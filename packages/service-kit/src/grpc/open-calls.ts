import type { AppError } from '@agentforge/errors';
import type { ServerCall } from './call-context.js';

/** The calls being served, for the limit of concurrent calls and for the drain. */
export class OpenCalls {
  private readonly calls = new Set<ServerCall>();
  private waiting: (() => void)[] = [];

  constructor(
    /** Most calls at once. */
    readonly limit: number,
  ) {}

  /** Calls whose handlers have not ended yet. */
  get size(): number {
    return this.calls.size;
  }

  /** Whether every place is taken. */
  get isFull(): boolean {
    return this.calls.size >= this.limit;
  }

  /** Takes a place for a call. */
  add(call: ServerCall): void {
    this.calls.add(call);
  }

  /** Gives a place back. */
  delete(call: ServerCall): void {
    this.calls.delete(call);
    if (this.calls.size > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Ends calls with an error. */
  abort(reason: AppError): void {
    for (const call of this.calls) call.abort(reason);
  }

  /** Resolves when no call is open. */
  async idle(): Promise<void> {
    if (this.calls.size === 0) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}
