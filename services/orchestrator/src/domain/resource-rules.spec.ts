import type { ResourceDraft, StepDraft } from './graph.js';
import { resourceViolations } from './resource-rules.js';

const GIB = 2 ** 30;
const amounts = (over: Partial<ResourceDraft>): ResourceDraft => ({
  cpu: 0,
  memoryBytes: 0,
  gpus: 0,
  gpuMemoryBytes: 0,
  ...over,
});
const step = (over: Partial<ResourceDraft>): StepDraft => ({
  id: 'a',
  kind: 'phase',
  phase: 'noop',
  config: {},
  inputs: [],
  after: [],
  resources: amounts(over),
});
const pool = (name: string, over: Partial<ResourceDraft>, phase = 'noop') => ({
  name,
  total: amounts(over),
  phases: new Set([phase]),
});
const host = pool('host', { cpu: 4, memoryBytes: 8 * GIB });
const gpuHost = pool('gpu-host', { cpu: 16, memoryBytes: GIB, gpus: 2, gpuMemoryBytes: 80 * GIB });
const judge = (over: Partial<ResourceDraft>, pools = [host, gpuHost]) =>
  resourceViolations(step(over), 'steps[0]', pools);

describe('resourceViolations()', () => {
  it('accepts what a pool has in all, and anything while no pool serves the phase', () => {
    expect(judge({ cpu: 0.5, memoryBytes: 8 * GIB })).toEqual([]);
    expect(judge({ gpus: 2, gpuMemoryBytes: 80 * GIB })).toEqual([]);
    expect(judge({ cpu: 100 }, [pool('other', { cpu: 1 }, 'cognate')])).toEqual([]);
    expect(resourceViolations({ ...step({}), phase: 'x' }, 'steps[0]', [host])).toEqual([]);
  });

  it('refuses what no pool can ever have, with the field and the largest pool', () => {
    expect(judge({ cpu: 17 })).toEqual([
      {
        field: 'steps[0].resources.cpu',
        description:
          'is 17 cores; the largest pool, "gpu-host", has 16 cores; ask for less, or start a worker on a larger host',
      },
    ]);
    expect(judge({ gpuMemoryBytes: GIB }, [host]).map(({ field }) => field)).toEqual([
      'steps[0].resources.gpus',
      'steps[0].resources.gpu_memory_bytes',
    ]);
  });

  it('says when pools have each amount but none has all together', () => {
    expect(judge({ gpus: 1, memoryBytes: 8 * GIB })).toEqual([
      {
        field: 'steps[0].resources.gpus',
        description: 'is 1 accelerators; the pool "gpu-host" has that, but not all of the rest; ask for less',
      },
    ]);
  });

  it.each<[Partial<ResourceDraft>, string]>([
    [{ cpu: -1 }, 'cpu'],
    [{ cpu: Number.NaN }, 'cpu'],
    [{ cpu: 4_097 }, 'cpu'],
    [{ memoryBytes: -1 }, 'memory_bytes'],
    [{ gpus: 65 }, 'gpus'],
    [{ gpuMemoryBytes: 2 ** 51 }, 'gpu_memory_bytes'],
  ])('refuses %j', (over, field) => {
    expect(judge(over)).toMatchObject([{ field: `steps[0].resources.${field}` }]);
  });
});
