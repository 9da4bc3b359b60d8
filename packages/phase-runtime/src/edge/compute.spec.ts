import { availableParallelism } from 'node:os';
import { PassThrough } from 'node:stream';
import { createLogger, createMetrics } from '@agentforge/telemetry';
import { backendInfo } from '@agentforge/tensor';
import { openCompute } from './compute.js';

const destination = new PassThrough();
const log = createLogger({ service: 'test', level: 'info', destination });

describe('openCompute()', () => {
  it('says once what computes, and why nothing better', () => {
    const { device, isa, passedOver } = openCompute(
      { computeDevice: 'auto', computeThreads: availableParallelism() },
      log,
      createMetrics('test'),
    );
    const lines = String(destination.read()).trim().split('\n');
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0] as string);
    expect(line).toMatchObject({
      event: 'compute.device',
      backend: `${device}-${isa}`,
      threads: availableParallelism(),
      operation: 'auto',
    });
    for (const { path } of passedOver) expect(line.reason).toContain(path);
    expect(backendInfo().requested).toBe('auto');
  });

  it('shows the device and its memory at every scrape', async () => {
    const metrics = createMetrics('test');
    const { device, isa } = openCompute(
      { computeDevice: 'auto', computeThreads: availableParallelism() },
      log,
      metrics,
    );
    const { text } = await metrics.expose();
    expect(text).toMatch(
      new RegExp(`forge_compute_info\\{[^}]*backend="${device}",kind="${isa}"[^}]*\\} 1\\n`),
    );
    for (const kind of ['live', 'cached', 'peak'])
      expect(text).toMatch(new RegExp(`forge_compute_memory_bytes\\{kind="${kind}"[^}]*\\} \\d+`));
    expect(text).toMatch(/forge_compute_memory_bytes\{kind="limit"[^}]*\} [1-9]\d{6,}/);
  });
});
