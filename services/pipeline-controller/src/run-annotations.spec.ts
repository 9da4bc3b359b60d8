import { type WaitReason, WaitReasonSchema } from '@agentforge/contracts';
import { createLogger } from '@agentforge/telemetry';
import { create } from '@bufbuild/protobuf';
import type { EngineStatusPort } from './ports/engine-status.port.js';
import { RunAnnotations } from './run-annotations.js';

const RUN = 'projects/p/runs/r';
const WAITS = new Map([['a', [create(WaitReasonSchema, { message: 'no pool has room' })]]]);
const page = (revision: bigint, mayWait = true) => ({
  steps: [{ id: 'a', mayWait, bytes: new Uint8Array() }],
  nextPageToken: '',
  revision,
});

function annotations(explainRun: () => Promise<ReadonlyMap<string, WaitReason[]>>) {
  const asked: string[] = [];
  const status = {
    explainRun: (run: string) => {
      asked.push(run);
      return explainRun();
    },
  } as unknown as EngineStatusPort;
  return { asked, found: new RunAnnotations(status, createLogger({ service: 'test', level: 'silent' })) };
}

describe('RunAnnotations of pages of steps', () => {
  it('asks the engine once for pages that follow each other, and again for another revision, run or second', async () => {
    const { asked, found } = annotations(async () => WAITS);
    expect(await found.ofPage(RUN, page(1n), 0)).toBe(WAITS);
    expect(await found.ofPage(RUN, page(1n), 999)).toBe(WAITS);
    expect(asked).toHaveLength(1);
    await found.ofPage(RUN, page(2n), 999);
    await found.ofPage('projects/p/runs/other', page(2n), 999);
    await found.ofPage(RUN, page(2n), 1_000);
    await found.ofPage(RUN, page(2n), 2_000);
    expect(asked).toEqual([RUN, RUN, 'projects/p/runs/other', RUN, RUN]);
  });

  it('asks nobody when no step may wait', async () => {
    const { asked, found } = annotations(async () => WAITS);
    expect(await found.ofPage(RUN, page(1n, false))).toEqual(new Map());
    expect(asked).toEqual([]);
  });

  it('says nothing while the engine cannot be asked', async () => {
    const { found } = annotations(async () => {
      throw new Error('the engine is away');
    });
    expect(await found.ofPage(RUN, page(1n))).toEqual(new Map());
  });
});
