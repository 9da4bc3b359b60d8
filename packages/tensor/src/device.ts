import { existsSync } from 'node:fs';
import { type BackendInfo, type InitOptions, type MemoryStats, type NativeAddon } from '@agentforge/native';
import { native } from './backend.js';
import { ArgumentError, DeviceError } from './errors.js';
import { announceFallbacks } from './fallback.js';

/** Where tensors live and operations run. */
export type Device = 'cpu' | 'cuda';

/** What may be asked for: a device, or the best one there is. */
export type DeviceChoice = Device | 'auto';

/** Settings of the compute core; the first selection of the process fixes the thread count. */
export interface DeviceOptions {
  /** Compute threads including the caller. Default: the physical cores this process may use. */
  readonly threads?: number;
  /** Limit for live plus cached bytes. Default: 90 % of the memory of the machine or container. */
  readonly maxBytes?: number;
  /** An operation that the device lacks: `cpu` runs it there, with a warning and counted; `refuse` throws. Default: FORGE_CUDA_FALLBACK, else cpu. */
  readonly fallback?: 'cpu' | 'refuse';
  /** Whether `auto` warns when it finds only the CPU; false for who says it otherwise. Default true. */
  readonly warns?: boolean;
}

/** A device that was looked at, one path at a time, and why it was passed over. */
export interface DeviceAttempt {
  readonly device: Device;
  readonly path: string;
  readonly cause: string;
}

/** The device in use, how it was chosen, and what it is. */
export interface DeviceInfo extends Omit<BackendInfo, 'device'> {
  readonly device: Device;
  /** What was asked for; `default` when nothing was. */
  readonly requested: DeviceChoice | 'default';
  /** Better devices that were tried first. */
  readonly passedOver: readonly DeviceAttempt[];
}

// What a CUDA device shows itself as on Linux.
const CUDA_DEVICE_FILES = ['/dev/nvidiactl', '/dev/nvidia0'];

let requested: DeviceChoice | 'default' = 'default';
let passedOver: readonly DeviceAttempt[] = [];
let warned = false;

/** Why CUDA cannot be used here; nothing when it can. */
function tryCuda(): readonly DeviceAttempt[] {
  const attempts = native().deviceProbe('cuda');
  if (attempts.length === 0) return [];
  const missing = CUDA_DEVICE_FILES.filter((path) => !existsSync(path)).map((path) => ({
    path,
    cause: 'no such device file: no NVIDIA driver is loaded, or the container was not given the device',
  }));
  return [...attempts, ...missing].map((attempt) => ({ device: 'cuda', ...attempt }));
}

function lines(attempts: readonly DeviceAttempt[]): string {
  return attempts.map(({ path, cause }) => `  ${path}: ${cause}`).join('\n');
}

/** Says once per process that `auto` found nothing better than the CPU, and why. */
function warnOnce(attempts: readonly DeviceAttempt[]): void {
  if (warned) return;
  warned = true;
  process.emitWarning(`computing on cpu; cuda cannot be used. Tried:\n${lines(attempts)}`, {
    type: 'DeviceWarning',
    code: 'COMPUTE_DEVICE',
  });
}

/**
 * Chooses the compute device of this process. Optional: without it the first operation takes the CPU.
 * @param choice   `cpu`; `cuda`, which fails when it cannot be used; `auto`, the best that can, with one warning of the
 *                 process (`DeviceWarning`) when that is the CPU
 * @returns        the device in use, and the better ones that were passed over, with the reason
 * @throws DeviceError FAILED_PRECONDITION: `cuda` was asked for and cannot be used, every path with its cause;
 *                 or the device or thread count differs from the one this process already computes with
 */
export function selectDevice(choice: DeviceChoice, options: DeviceOptions = {}): DeviceInfo {
  const { warns = true, ...settings } = options;
  const attempts = choice === 'cpu' ? [] : tryCuda();
  if (choice === 'cuda' && attempts.length > 0) {
    throw new DeviceError(
      `device cuda cannot be used. Tried:\n${lines(attempts)}\nFix: as said there, or ask for cpu or auto.`,
    );
  }
  const device = choice === 'cpu' || attempts.length > 0 ? 'cpu' : 'cuda';
  initialise({ ...settings, device });
  requested = choice;
  passedOver = attempts;
  if (warns && attempts.length > 0) warnOnce(attempts);
  return backendInfo();
}

function initialise(options: InitOptions): void {
  const before = native().backendInfo().device;
  try {
    native().init(options);
    if (native().backendInfo().device !== before) announceFallbacks(native());
  } catch (thrown) {
    if (thrown instanceof ArgumentError) throw new DeviceError(thrown.message, thrown);
    throw thrown;
  }
}

/** The device that operations run on. */
export function selectedDevice(): Device {
  return native().backendInfo().device;
}

/** What computes: device, instruction set, threads, BLAS, and how the choice was made. */
export function backendInfo(): DeviceInfo {
  return { ...native().backendInfo(), requested, passedOver };
}

/**
 * Whether the device in use runs a native function. What it lacks runs on the processor, see {@link fallbacks}; with the
 * option `fallback: 'refuse'` it throws UnsupportedOpError.
 */
export function supportsOp(name: keyof NativeAddon): boolean {
  return native().supportsOp(name);
}

/** How often this process ran a native function on the processor because the device lacks it, by name. */
export function fallbacks(): Readonly<Record<string, number>> {
  return native().fallbacks();
}

/** Memory of all compute threads of this process: live, cached, peak and limit in bytes. */
export function memoryStats(): MemoryStats {
  return native().memoryStats();
}

/** Starts a new measurement of the peak: peakBytes := liveBytes. */
export function resetPeakMemory(): void {
  native().resetPeak();
}

/** Gives memory that is kept for reuse back to the operating system. */
export function emptyCache(): void {
  native().emptyCache();
}
