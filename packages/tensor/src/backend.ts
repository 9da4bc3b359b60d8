import { type Handle, loadNative, type NativeAddon } from '@agentforge/native';
import { isFiniteChecked, trapNotFinite } from './check-finite.js';
import { fromNativeError } from './errors.js';
import { announceFallbacks } from './fallback.js';

/** What a tensor's handle becomes when its memory was given back. */
export const FREED: Handle = -1;

let table: NativeAddon | undefined;

/**
 * The native function table of this thread; every function throws AppErrors.
 * Loaded by the first call.
 * @throws AppError FAILED_PRECONDITION: no addon binary loads (every path tried, and why)
 */
export function native(): NativeAddon {
  if (table === undefined) {
    table = translateErrors(loadNative());
    announceFallbacks(table);
  }
  return table;
}

/** Whether a step can be recorded: the device does, and no trap is on, which waits for the device after every call. */
export function canRecord(): boolean {
  return native().backendInfo().captures && !isFiniteChecked();
}

/** The same functions, with what they throw turned into the errors of this package, and with the trap for NaN if it is on. */
function translateErrors(addon: NativeAddon): NativeAddon {
  const checks = isFiniteChecked();
  const translated: Record<string, unknown> = {};
  const functions = addon as unknown as Record<string, unknown>;
  for (const name of Object.keys(functions)) {
    const found = functions[name] as ((...args: unknown[]) => unknown) | undefined;
    if (typeof found !== 'function') continue;
    const call = checks ? trapNotFinite(addon, name, found) : found;
    translated[name] = (...args: unknown[]): unknown => {
      try {
        return call(...args);
      } catch (thrown) {
        throw fromNativeError(thrown);
      }
    };
  }
  return translated as unknown as NativeAddon;
}
