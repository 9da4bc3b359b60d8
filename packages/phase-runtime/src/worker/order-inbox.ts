import type { MessagePort } from 'node:worker_threads';
import type { SpreadOrder } from '../subtasks/subtask-messages.js';

/** What the host tells a thread while it works on a step, one after another. */
export interface OrderInbox {
  /** The next order; waits for it. */
  next(): Promise<SpreadOrder>;
}

/** The orders that come through a port. */
export class PortInbox implements OrderInbox {
  private readonly waiting: SpreadOrder[] = [];
  private wake: (() => void) | undefined;
  private isListening = false;

  constructor(private readonly port: MessagePort) {}

  async next(): Promise<SpreadOrder> {
    if (!this.isListening) this.listen();
    for (;;) {
      const order = this.waiting.shift();
      if (order) return order;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private listen(): void {
    this.isListening = true;
    this.port.on('message', (order: SpreadOrder) => {
      this.waiting.push(order);
      this.wake?.();
    });
  }
}
