import type { Metrics } from '@agentforge/telemetry';
import type { DescMessage, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';

/** When and how often an idempotent call is tried again after UNAVAILABLE. */
export interface RetryPolicy {
  /** All tries together, ≥ 1; default 4. */
  readonly attempts?: number;
  /** Upper bound of the first wait, ms; doubles with each try; default 100. */
  readonly initialBackoffMs?: number;
  /** Upper bound of any wait, ms; default 2000. */
  readonly maxBackoffMs?: number;
}

/** How a client behaves. */
export interface ClientOptions {
  /** Deadline of calls with one response, ms; default 10 000. */
  readonly deadlineMs?: number;
  /** Deadline of calls with a stream of responses, ms; default one hour. */
  readonly streamDeadlineMs?: number;
  readonly retries?: RetryPolicy;
  /** Headers of every call. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Largest message in either direction, bytes; default 4 MiB. */
  readonly maxMessageBytes?: number;
  /** Wait for a connection until the deadline instead of failing as UNAVAILABLE at once; default false. */
  readonly waitForReady?: boolean;
  /** Where durations and retries are recorded; default nowhere. */
  readonly metrics?: Metrics;
}

/** How one call behaves. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal | undefined;
  /** Instead of the client's deadline, ms. */
  readonly deadlineMs?: number;
  /** Added to the client's headers. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Gets the headers of the response. */
  readonly onHeader?: (header: (name: string) => string | undefined) => void;
  /** Does not end with the call being served, and does not inherit its deadline. */
  readonly detached?: boolean;
}

/** Function of a client for one method. */
export type ClientMethod<Method> = Method extends {
  methodKind: infer Kind;
  input: infer Input extends DescMessage;
  output: infer Output extends DescMessage;
}
  ? Kind extends 'unary'
    ? (request: MessageInitShape<Input>, options?: CallOptions) => Promise<MessageShape<Output>>
    : Kind extends 'server_streaming'
      ? (request: MessageInitShape<Input>, options?: CallOptions) => AsyncIterable<MessageShape<Output>>
      : Kind extends 'client_streaming'
        ? (
            requests: AsyncIterable<MessageInitShape<Input>>,
            options?: CallOptions,
          ) => Promise<MessageShape<Output>>
        : (
            requests: AsyncIterable<MessageInitShape<Input>>,
            options?: CallOptions,
          ) => AsyncIterable<MessageShape<Output>>
  : never;

/** What every client has besides the methods of its service. */
export interface ClientControls {
  /** Resolves when a connection stands. @throws AppError UNAVAILABLE  when none does in time */
  ready(timeoutMs: number): Promise<void>;
  /** Closes the connections. */
  close(): void;
}

/** Typed client of a service: one function per RPC, named as in the descriptor. */
export type Client<Service extends DescService> = {
  readonly [Name in keyof Service['method']]: ClientMethod<Service['method'][Name]>;
} & ClientControls;
