import type { NativeAddon } from '@agentforge/native';

/** What is called by name. */
type Functions = Record<string, (...args: unknown[]) => unknown>;

/**
 * Makes the first call of each op that the device in use lacks, and that runs on the processor instead, a warning of the
 * process (`DeviceWarning`, code `COMPUTE_FALLBACK`): one line per op and process. Ops that the device has are left as
 * they are, and so cost nothing.
 * @param table  the function table of this thread; entries of ops that the device lacks are replaced
 */
export function announceFallbacks(table: NativeAddon): void {
  const { device } = table.backendInfo();
  if (device === 'cpu') return;
  const functions = table as unknown as Functions;
  for (const [name, call] of Object.entries(functions)) {
    if (table.supportsOp(name)) continue;
    functions[name] = (...args) => {
      const result = call(...args);
      functions[name] = call;
      // Another thread may have been first: the count is that of the process.
      if (table.fallbacks()[name] === 1) {
        process.emitWarning(
          `${name} runs on the processor: device ${device} lacks it. Tensors cross to host memory and back at every call; ` +
            'fallbacks() counts them, FORGE_CUDA_FALLBACK=refuse makes them errors.',
          { type: 'DeviceWarning', code: 'COMPUTE_FALLBACK' },
        );
      }
      return result;
    };
  }
}
