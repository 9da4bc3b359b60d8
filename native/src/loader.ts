import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { AppError } from '@agentforge/errors';
import type { NativeAddon } from './addon.js';
import type { NativeError } from './addon-types.js';

/** One place where the addon was looked for, and why it could not be used. */
export interface LoadAttempt {
  readonly path: string;
  readonly cause: string;
}

/** FAILED_PRECONDITION: no usable addon binary. Lists every path tried, each cause, and the fix. */
export class NativeLoadError extends AppError {
  readonly attempts: readonly LoadAttempt[];

  constructor(attempts: readonly LoadAttempt[]) {
    const tried = attempts.map(({ path, cause }) => `  ${path}: ${cause}`).join('\n');
    super(
      'FAILED_PRECONDITION',
      `the compute addon cannot be loaded on ${process.platform}-${process.arch}, Node ${process.version}. Tried:\n${tried}\n` +
        'Fix: build it with "node native/scripts/build.mjs" (needs cmake, and g++ or clang++ with C++20).',
      { reason: 'NATIVE_ADDON_MISSING' },
    );
    this.attempts = attempts;
  }
}

const CANDIDATES = ['../build/forge.node'];

let loaded: NativeAddon | undefined;

/**
 * The addon of this thread, loaded once.
 * @param candidates  paths relative to this module; tried in order
 * @throws NativeLoadError FAILED_PRECONDITION: no candidate loads
 */
export function loadNative(candidates: readonly string[] = CANDIDATES): NativeAddon {
  if (loaded !== undefined && candidates === CANDIDATES) return loaded;
  const require = createRequire(import.meta.url);
  const attempts: LoadAttempt[] = [];
  for (const candidate of candidates) {
    const path = fileURLToPath(new URL(candidate, import.meta.url));
    try {
      const addon = require(path) as NativeAddon;
      if (candidates === CANDIDATES) loaded = addon;
      return addon;
    } catch (error) {
      attempts.push({
        path,
        cause: error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error),
      });
    }
  }
  throw new NativeLoadError(attempts);
}

const CODES: ReadonlySet<unknown> = new Set([
  'HANDLE',
  'DTYPE',
  'SHAPE',
  'ARGUMENT',
  'OOM',
  'UNSUPPORTED',
  'DEVICE',
  'INTERNAL',
]);

/**
 * Whether a thrown value came from the addon. Looks at the value's form: its class may belong to another
 * JavaScript realm than the caller's (the addon keeps the realm that loaded it first).
 */
export function isNativeError(value: unknown): value is NativeError {
  return (
    typeof value === 'object' &&
    value !== null &&
    'message' in value &&
    'code' in value &&
    CODES.has(value.code)
  );
}
