import {
  backendInfo,
  DeviceError,
  emptyCache,
  memoryStats,
  resetPeakMemory,
  selectDevice,
  zeros,
} from './index.js';

describe('selectDevice()', () => {
  it('takes the CPU, and says so', () => {
    expect(selectDevice('cpu')).toMatchObject({ device: 'cpu', requested: 'cpu', passedOver: [] });
    expect(backendInfo().threads).toBeGreaterThanOrEqual(1);
    expect(zeros([1]).device).toBe('cpu');
  });

  it('refuses cuda with every path tried, and the fix', () => {
    expect(() => selectDevice('cuda')).toThrow(DeviceError);
    expect(() => selectDevice('cuda')).toThrow(
      /Tried:\n.*@agentforge\/native: built with the cpu backend only\nFix:/s,
    );
  });

  it('auto says which better devices it passed over, and why', () => {
    const info = selectDevice('auto');
    expect(info).toMatchObject({ device: 'cpu', requested: 'auto' });
    expect(info.passedOver.every(({ device, path, cause }) => device === 'cuda' && path && cause)).toBe(true);
    expect(info.passedOver.length).toBeGreaterThan(0);
  });

  it('refuses to change the thread count of a running process', () => {
    expect(() => selectDevice('cpu', { threads: backendInfo().threads + 1 })).toThrow(DeviceError);
  });
});

describe('memoryStats()', () => {
  it('counts live bytes and the peak, and gives cached memory back', () => {
    resetPeakMemory();
    const before = memoryStats();
    const x = zeros([1024, 1024]);
    expect(memoryStats().liveBytes - before.liveBytes).toBeGreaterThanOrEqual(4 * 1024 * 1024);
    x.dispose();
    expect(memoryStats().liveBytes).toBe(before.liveBytes);
    expect(memoryStats().peakBytes).toBeGreaterThanOrEqual(before.liveBytes + 4 * 1024 * 1024);
    emptyCache();
    expect(memoryStats().cachedBytes).toBeLessThan(4 * 1024 * 1024);
  });
});
