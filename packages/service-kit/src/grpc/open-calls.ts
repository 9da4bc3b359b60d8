import type { AppError } from '@agentforge/errors';
import type { ServerCall } from './call-context.js';

/** The calls being served, for the limit of concurrent calls and for the drain. */
export class OpenCalls {
  private readonly calls = new Set<ServerCall>();
  private waiting: (() => void)[] = [];

  constructor(
    /** Most calls at once. */
    private readonly limit: number,
  ) {}

  /** Calls whose handlers have not ended yet. */
  get size(): number {
    return this.calls.size;
  }

  /** Takes a place for a call; false when all are taken. */
  add(call: ServerCall): boolean {
    if (this.calls.size >= this.limit) return false;
    this.calls.add(call);
    return true;
  }

  /** Gives a place back. */
  delete(call: ServerCall): void {
    this.calls.delete(call);
    if (this.calls.size > 0) return;
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** Ends calls with an error: all, or only those whose responses are a stream. */
  abort(reason: AppError, which: 'all' | 'streams'): void {
    for (const call of this.calls) {
      const isStream =
        call.method.methodKind.endsWith('streaming') && call.method.methodKind !== 'client_streaming';
      if (which === 'all' || isStream) call.abort(reason);
    }
  }

  /** Resolves when no call is open. */
  async idle(): Promise<void> {
    if (this.calls.size === 0) return;
    await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
}
