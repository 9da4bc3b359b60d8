import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@agentforge/errors';
import type { Logger } from '@agentforge/telemetry';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';

/** Where a connection to NATS stands. */
export type ConnectionStatus = 'connecting' | 'connected' | 'disconnected' | 'closed';

/** How NATS is reached. */
export interface ConnectionOptions {
  /** One or more URLs: `nats://host:port`. */
  readonly servers: string | readonly string[];
  /** Name of the client as NATS shows it. */
  readonly name: string;
  readonly logger?: Logger | undefined;
  /** Ends the wait for a server. */
  readonly signal?: AbortSignal | undefined;
  /** Told about every change. */
  readonly onStatus?: ((status: ConnectionStatus) => void) | undefined;
}

/** Wait between two tries to connect, and between two log lines that say so. */
const RETRY_MS = 500;
const LOG_EVERY_MS = 10_000;
/** Time one try to connect may take. */
const CONNECT_TIMEOUT_MS = 3_000;
/** A server that is silent for two of these is given up and connected anew. */
const PING_INTERVAL_MS = 5_000;
/** Time that closing waits for what is still being sent. */
const CLOSE_TIMEOUT_MS = 3_000;
/** Time that JetStream gets for an API call. */
const API_TIMEOUT_MS = 5_000;

/**
 * A connection to NATS that waits for a server at start, comes back by itself whenever it is
 * lost, and tells others when that happens.
 */
export class Connection {
  readonly jetstream: JetStreamClient;
  private status: ConnectionStatus = 'connected';
  private readonly reconnectListeners = new Set<() => void>();
  private readonly waiters = new Set<() => void>();

  private constructor(
    readonly nats: NatsConnection,
    readonly manager: JetStreamManager,
    private readonly options: ConnectionOptions,
  ) {
    this.jetstream = jetstream(nats, { timeout: API_TIMEOUT_MS });
    options.onStatus?.('connected');
    void this.follow();
  }

  /** Connects; while no server answers it says so in the log and goes on trying. */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const servers = [options.servers].flat();
    options.onStatus?.('connecting');
    let loggedAt = Number.NEGATIVE_INFINITY;
    for (;;) {
      options.signal?.throwIfAborted();
      try {
        const nats = await connect({
          servers: [...servers],
          name: options.name,
          timeout: CONNECT_TIMEOUT_MS,
          reconnect: true,
          maxReconnectAttempts: -1,
          reconnectTimeWait: 200,
          reconnectJitter: 200,
          pingInterval: PING_INTERVAL_MS,
          maxPingOut: 2,
          ignoreClusterUpdates: false,
          // Two errors with stack traces for every request, in case it fails, are a tenth of an orchestrator's time.
          noAsyncTraces: true,
        });
        const manager = await jetstreamManager(nats, { checkAPI: false, timeout: API_TIMEOUT_MS });
        options.logger?.info('events.connected', { url: nats.getServer(), name: options.name });
        return new Connection(nats, manager, options);
      } catch (error) {
        if (performance.now() - loggedAt >= LOG_EVERY_MS) {
          loggedAt = performance.now();
          options.logger?.warn('events.waiting', { url: servers.join(','), reason: messageOf(error) });
        }
        await sleep(RETRY_MS, undefined, options.signal ? { signal: options.signal } : {});
      }
    }
  }

  /** Whether a server is there right now. */
  isConnected(): boolean {
    return this.status === 'connected' && !this.nats.isClosed();
  }

  /** Whether the connection was closed for good. */
  isClosed(): boolean {
    return this.status === 'closed' || this.nats.isClosed();
  }

  /**
   * Resolves once a server is there, or after a time.
   * @returns whether it is there
   * @throws AppError  UNAVAILABLE: the connection was closed
   */
  async whenConnected(timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    if (this.isClosed()) throw new AppError('UNAVAILABLE', 'the connection to NATS is closed');
    if (this.isConnected()) return true;
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        this.waiters.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      signal?.addEventListener('abort', wake, { once: true });
      this.waiters.add(wake);
    });
    return this.isConnected();
  }

  /** Calls back after every reconnection. @returns a function that ends it */
  onReconnect(listener: () => void): () => void {
    this.reconnectListeners.add(listener);
    return () => this.reconnectListeners.delete(listener);
  }

  /** Sends what is buffered and closes. Idempotent. */
  async close(): Promise<void> {
    if (this.isClosed()) return;
    const drained = this.isConnected() ? this.nats.drain() : Promise.resolve();
    await Promise.race([drained.catch(() => undefined), sleep(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    await this.nats.close();
    this.become('closed');
  }

  private async follow(): Promise<void> {
    for await (const { type } of this.nats.status()) {
      if (type === 'disconnect') {
        if (this.status === 'connected')
          this.options.logger?.warn('events.disconnected', { name: this.options.name });
        this.become('disconnected');
      } else if (type === 'reconnect') {
        this.options.logger?.info('events.reconnected', { url: this.nats.getServer() });
        this.become('connected');
        for (const listener of [...this.reconnectListeners]) listener();
      }
    }
    this.become('closed');
  }

  private become(status: ConnectionStatus): void {
    if (this.status === status) return;
    this.status = status;
    if (status !== 'disconnected') {
      for (const wake of [...this.waiters]) wake();
    }
    this.options.onStatus?.(status);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
