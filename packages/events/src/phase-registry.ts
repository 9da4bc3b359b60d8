import { type PhaseDescriptor, PhaseDescriptorSchema } from '@agentforge/contracts';
import type { Logger } from '@agentforge/telemetry';
import { fromJsonString, toJsonString } from '@bufbuild/protobuf';
import type { KV } from '@nats-io/kv';
import { InvalidNameError } from './events.errors.js';
import type { Connection } from './stream/connection.js';
import { readMessages, tailMessages } from './stream/read-messages.js';
import type { StreamMessage } from './stream/stream-message.js';
import { BUCKETS } from './subjects.js';

/** A phase that was published, or removed. */
export interface PhaseChange {
  readonly name: string;
  /** Undefined when the phase was removed. */
  readonly descriptor: PhaseDescriptor | undefined;
}

const STREAM = `KV_${BUCKETS.phases}` as const;
const SUBJECT_PREFIX = `$KV.${BUCKETS.phases}.`;
const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** The phases that are installed, as each phase service describes itself. */
export class PhaseRegistry {
  constructor(
    private readonly connection: Connection,
    private readonly bucket: KV,
    private readonly logger: Logger | undefined,
  ) {}

  /** Publishes a phase, or what changed about it. Publishing the same again changes nothing. */
  async put(descriptor: PhaseDescriptor): Promise<void> {
    const text = toJsonString(PhaseDescriptorSchema, descriptor);
    const known = await this.bucket.get(checkName(descriptor.name));
    if (known?.operation === 'PUT' && known.string() === text) return;
    await this.bucket.put(descriptor.name, text);
  }

  /** The descriptor of a phase. */
  async get(name: string): Promise<PhaseDescriptor | undefined> {
    if (!NAME.test(name)) return undefined;
    const entry = await this.bucket.get(name);
    return entry?.operation === 'PUT' ? this.parse(name, entry.string()) : undefined;
  }

  /** All phases, by name. */
  async list(): Promise<PhaseDescriptor[]> {
    const phases = new Map<string, PhaseDescriptor>();
    const messages = readMessages(this.connection, {
      stream: STREAM,
      filter: `${SUBJECT_PREFIX}>`,
      startSequence: 1,
    });
    for await (const message of messages) {
      const { name, descriptor } = this.toChange(message);
      if (descriptor) phases.set(name, descriptor);
      else phases.delete(name);
    }
    return [...phases.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Takes a phase out. */
  async remove(name: string): Promise<void> {
    await this.bucket.delete(checkName(name));
  }

  /** First every phase that is there, then every change, without end. */
  async *watch(
    options: { readonly signal?: AbortSignal; readonly onCaughtUp?: () => void } = {},
  ): AsyncGenerator<PhaseChange, void, undefined> {
    const messages = tailMessages(this.connection, {
      stream: STREAM,
      filter: `${SUBJECT_PREFIX}>`,
      startSequence: 1,
      signal: options.signal,
      onCaughtUp: options.onCaughtUp,
      logger: this.logger,
    });
    for await (const message of messages) yield this.toChange(message);
  }

  private toChange(message: StreamMessage): PhaseChange {
    const name = message.subject.slice(SUBJECT_PREFIX.length);
    const isGone = message.header('KV-Operation') !== undefined;
    const descriptor = isGone ? undefined : this.parse(name, Buffer.from(message.data).toString('utf8'));
    return { name, descriptor };
  }

  /** An entry that cannot be read counts as no entry, and is logged. */
  private parse(name: string, text: string): PhaseDescriptor | undefined {
    try {
      return fromJsonString(PhaseDescriptorSchema, text, { ignoreUnknownFields: true });
    } catch (error) {
      this.logger?.warn('events.handler_failed', { bucket: BUCKETS.phases, name, error });
      return undefined;
    }
  }
}

function checkName(name: string): string {
  if (!NAME.test(name)) throw new InvalidNameError('phase', name);
  return name;
}
