import type { TaskDirective, TaskHeartbeat } from '@agentforge/contracts';
import { extractContext, injectContext, type Logger, runInContext } from '@agentforge/telemetry';
import { headers as createHeaders, type Msg, type Subscription } from '@nats-io/transport-node';
import { taskDirectiveCodec, taskHeartbeatCodec } from './codec.js';
import { MalformedMessageError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { directiveSubject, HEARTBEAT_QUEUE, HEARTBEAT_SUBJECT } from './subjects.js';

/** Time a worker waits for an answer to a heartbeat. */
const HEARTBEAT_TIMEOUT_MS = 1_000;

/**
 * The quick line between orchestrator and workers, on core NATS: nothing is stored, nothing is
 * promised. What must not be lost is in the run log; a lost directive is said again at the next heartbeat.
 */
export class Directives {
  constructor(
    private readonly connection: Connection,
    private readonly logger: Logger | undefined,
  ) {}

  /** Answers heartbeats, together with all other replicas. A handler that throws leaves one unanswered. */
  answer(handler: (heartbeat: TaskHeartbeat) => TaskDirective | Promise<TaskDirective>): {
    stop(): Promise<void>;
  } {
    const reply = async (message: Msg) => {
      try {
        const heartbeat = taskHeartbeatCodec.decode(message.data);
        const context = extractContext((name) => message.headers?.get(name));
        const directive = await runInContext(context, async () => handler(heartbeat));
        message.respond(taskDirectiveCodec.encode(directive));
      } catch (error) {
        this.logger?.warn('events.handler_failed', { subject: HEARTBEAT_SUBJECT, error });
      }
    };
    return drainable(
      this.connection.nats.subscribe(HEARTBEAT_SUBJECT, {
        queue: HEARTBEAT_QUEUE,
        callback: (error, message) => {
          if (!error) void reply(message);
        },
      }),
    );
  }

  /** Sees every heartbeat, also those that another replica answers. */
  observe(listener: (heartbeat: TaskHeartbeat) => void): { stop(): Promise<void> } {
    return drainable(
      this.connection.nats.subscribe(HEARTBEAT_SUBJECT, {
        callback: (error, message) => {
          if (error) return;
          try {
            listener(taskHeartbeatCodec.decode(message.data));
          } catch (failure) {
            this.logger?.warn('events.handler_failed', { subject: HEARTBEAT_SUBJECT, error: failure });
          }
        },
      }),
    );
  }

  /**
   * Tells that a worker lives and asks what to do.
   * @returns undefined when nobody answered in time: go on
   */
  async heartbeat(
    heartbeat: TaskHeartbeat,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<TaskDirective | undefined> {
    const data = taskHeartbeatCodec.encode(heartbeat);
    if (!this.connection.isConnected()) return undefined;
    const headers = createHeaders();
    for (const [name, value] of Object.entries(injectContext({}))) headers.set(name, value);
    const timeout = options.timeoutMs ?? HEARTBEAT_TIMEOUT_MS;
    let answer: Msg;
    try {
      answer = await this.connection.nats.request(HEARTBEAT_SUBJECT, data, { timeout, headers });
    } catch {
      // no orchestrator, no connection, or too slow: all mean that nobody answered
      return undefined;
    }
    try {
      return taskDirectiveCodec.decode(answer.data);
    } catch (error) {
      if (!(error instanceof MalformedMessageError)) throw error;
      this.logger?.warn('events.handler_failed', { subject: HEARTBEAT_SUBJECT, error });
      return undefined;
    }
  }

  /** Tells the worker of an attempt at once. Lost when it does not listen. */
  push(directive: TaskDirective): void {
    const data = taskDirectiveCodec.encode(directive);
    if (this.connection.isConnected())
      this.connection.nats.publish(directiveSubject(directive.attemptId), data);
  }

  /** Listens to what the worker of an attempt is told. */
  watch(attemptId: string, listener: (directive: TaskDirective) => void): { stop(): void } {
    const subscription = this.connection.nats.subscribe(directiveSubject(attemptId), {
      callback: (error, message) => {
        if (error) return;
        try {
          listener(taskDirectiveCodec.decode(message.data));
        } catch (failure) {
          this.logger?.warn('events.handler_failed', { subject: message.subject, error: failure });
        }
      },
    });
    return { stop: () => subscription.unsubscribe() };
  }
}

function drainable(subscription: Subscription): { stop(): Promise<void> } {
  return {
    stop: async () => {
      if (!subscription.isClosed()) await subscription.drain().catch(() => undefined);
    },
  };
}
