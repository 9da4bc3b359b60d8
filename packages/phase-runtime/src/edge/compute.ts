import type { Logger, Metrics } from '@agentforge/telemetry';
import { type DeviceInfo, fallbacks, memoryStats, selectDevice } from '@agentforge/tensor';
import type { PhaseServiceConfig } from './phase-settings.js';

/**
 * Chooses what this process computes on, once; says so in the log and, from then on, at every scrape.
 * @throws NativeLoadError  FAILED_PRECONDITION: there is no compute core, every path tried
 * @throws DeviceError      FAILED_PRECONDITION: the device that the settings name cannot be used, and why
 */
export function openCompute(
  { computeDevice, computeThreads }: Pick<PhaseServiceConfig, 'computeDevice' | 'computeThreads'>,
  log: Logger,
  metrics: Metrics,
): DeviceInfo {
  const info = selectDevice(computeDevice, { threads: computeThreads, warns: false });
  const { device, gpu, isa, threads, requested, passedOver } = info;
  const reasons = passedOver.map(({ path, cause }) => `${path}: ${cause}`);
  log.info('compute.device', {
    backend: `${device}-${isa}`,
    name: gpu?.name,
    threads,
    operation: requested,
    reason: reasons.length > 0 ? reasons.join('; ') : undefined,
  });
  metrics.gauge('computeInfo').set({ backend: device, kind: isa }, 1);
  metrics.gauge('computeMemory').collect(() => {
    const { liveBytes, cachedBytes, peakBytes, maxBytes } = memoryStats();
    return [
      { labels: { kind: 'live' }, value: liveBytes },
      { labels: { kind: 'cached' }, value: cachedBytes },
      { labels: { kind: 'peak' }, value: peakBytes },
      { labels: { kind: 'limit' }, value: maxBytes },
    ];
  });
  metrics
    .gauge('computeFallbacks')
    .collect(() =>
      Object.entries(fallbacks()).map(([operation, value]) => ({ labels: { operation }, value })),
    );
  return info;
}
