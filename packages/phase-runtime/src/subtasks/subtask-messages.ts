import type { ArtifactRef } from '@agentforge/contracts';
import type { ErrorMessage } from '../worker/error-message.js';

/** What a step wants to have computed, by whomever. */
export interface SpreadMessage {
  readonly kind: 'spread';
  /** Tells these subtasks from those that the thread had computed before. */
  readonly batch: number;
  readonly subtasks: readonly {
    /** JSON. */
    readonly json: string;
    /** All that the answer depends on; absent when none is to be kept. */
    readonly key: string | undefined;
  }[];
  /** Memory that computing one takes, in bytes. */
  readonly memoryBytes: number;
}

/** What a thread that works on a step says about its subtasks. */
export type SpreadWord =
  | SpreadMessage
  /** It has computed one itself. */
  | { readonly kind: 'computed'; readonly index: number; readonly json: string }
  /** It accepts the answer that it was given. */
  | { readonly kind: 'accepted'; readonly index: number }
  /** The answer of another worker cannot be what it claims to be. */
  | { readonly kind: 'refused'; readonly index: number }
  /** It waits for nothing any more. */
  | { readonly kind: 'withdrawn' };

/** What such a thread is told. An order may be late: that of another batch is for nobody. */
export type SpreadOrder =
  | { readonly kind: 'compute'; readonly batch: number; readonly index: number }
  | { readonly kind: 'answer'; readonly batch: number; readonly index: number; readonly json: string }
  /** The stop flag was raised. */
  | { readonly kind: 'stop' };

/** A subtask of another worker's step, as the thread that computes it gets it. */
export interface SubtaskInput {
  /** Checked, defaults filled in. */
  readonly config: unknown;
  readonly seed: bigint;
  readonly inputs: readonly { readonly port: string; readonly artifacts: readonly ArtifactRef[] }[];
  readonly artifactDirectory: string;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  /** Memory of the stop flag. */
  readonly stop: SharedArrayBuffer;
  /** JSON. */
  readonly json: string;
}

/** What comes of it. */
export type SubtaskEnd =
  | { readonly kind: 'computed'; readonly json: string }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly error: ErrorMessage };
