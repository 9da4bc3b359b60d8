import { loadNative } from '@agentforge/native';
import {
  backendInfo,
  DeviceError,
  emptyCache,
  memoryStats,
  resetPeakMemory,
  selectDevice,
  zeros,
} from './index.js';

// On a machine with a GPU these would choose it.
const unlessUsable = loadNative().deviceProbe('cuda').length > 0 ? it : it.skip;

describe('selectDevice()', () => {
  it('takes the CPU, and says so', () => {
    expect(selectDevice('cpu')).toMatchObject({ device: 'cpu', requested: 'cpu', passedOver: [] });
    expect(backendInfo().threads).toBeGreaterThanOrEqual(1);
    expect(zeros([1]).device).toBe('cpu');
  });

  unlessUsable('refuses cuda with every path tried, the cause and the fix', () => {
    expect(() => selectDevice('cuda')).toThrow(DeviceError);
    expect(() => selectDevice('cuda')).toThrow(/Tried:\n.*libforge_cuda\.so: .+\nFix:/s);
  });

  unlessUsable('auto takes the CPU, says which better devices it passed over, and warns once', () => {
    const said: string[] = [];
    const emitWarning = process.emitWarning;
    process.emitWarning = (warning) => void said.push(String(warning));
    try {
      const info = selectDevice('auto');
      expect(info).toMatchObject({ device: 'cpu', requested: 'auto', gpu: null });
      expect(info.passedOver[0]).toMatchObject({
        device: 'cuda',
        path: expect.stringContaining('libforge_cuda.so'),
      });
      expect(info.passedOver.every(({ path, cause }) => path && cause)).toBe(true);
      selectDevice('auto');
    } finally {
      process.emitWarning = emitWarning;
    }
    expect(said).toEqual([expect.stringContaining('libforge_cuda.so: ')]);
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
