import { busyCores, cpuSeconds, memoryOf } from './processes.mjs';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('what /proc says about this process', () => {
  it('counts CPU time in seconds', () => {
    const { user, system } = process.cpuUsage();
    expect(Math.abs(cpuSeconds(process.pid) - (user + system) / 1e6)).toBeLessThan(0.5);
  });

  it('has resident memory, never above its peak', () => {
    const { bytes, peakBytes } = memoryOf(process.pid);
    expect(bytes).toBeGreaterThan(10 * 2 ** 20);
    expect(peakBytes).toBeGreaterThanOrEqual(bytes);
  });
});

describe('busyCores()', () => {
  it('names who keeps the machine busy, most first', () => {
    const cpu = { nats: 1, orchestrator: 8, guard: 0.01 };
    expect(busyCores({ seconds: 10, cpu }, 2)).toBe('cores in use: orchestrator 0.80, nats 0.10; 0.90 of 2');
  });
});
