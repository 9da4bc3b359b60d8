import { setTimeout as sleep } from 'node:timers/promises';
import { PipelineService, RunView, StepProgressSchema, type WatchRunResponse } from '@agentforge/contracts';
import { attemptIdOf, type Events } from '@agentforge/events';
import type { Client } from '@agentforge/service-kit';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, durationMs, timestampNow } from '@bufbuild/protobuf/wkt';
import {
  complete,
  type FrontDoors,
  GRAPH,
  type Payload,
  parent,
  startFrontDoors,
  watched,
} from './start-front-door.js';
import { commit } from './stub-orchestrator.js';

describe('events of a run at the front door', () => {
  let doors: FrontDoors;
  let events: Events;
  let client: Client<typeof PipelineService>;

  beforeAll(async () => {
    doors = await startFrontDoors();
    events = doors.events;
    const service = await doors.start();
    client = doors.client(PipelineService, service);
  }, 60_000);
  afterAll(() => doors.end(), 60_000);

  const createRun = async (over: object = {}): Promise<string> => {
    const { run } = await client.createRun({ parent, graph: GRAPH, ...over });
    return run?.name ?? '';
  };
  const collect = (request: Parameters<typeof client.watchRun>[0]) => watched(client, request);
  const casesOf = (updates: readonly WatchRunResponse[]) =>
    updates.map(({ update }) => (update.case === 'event' ? update.value.payload.case : update.case));

  describe('ListRunEvents', () => {
    it('pages through every event in order, also within a batch', async () => {
      const name = await createRun();
      await commit(events, name, complete(name));
      await collect({ name });
      for (const pageSize of [1, 2, 4, 100]) {
        const seen: (string | undefined)[] = [];
        for (let pageToken = ''; ; ) {
          const page = await client.listRunEvents({ name, pageSize, pageToken });
          seen.push(...page.events.map(({ payload }) => payload.case));
          if (page.nextPageToken === '') break;
          pageToken = page.nextPageToken;
        }
        expect(seen).toEqual(['runCreated', ...complete(name).map((payload) => payload.case)]);
      }
      await expect(client.listRunEvents({ name: 'projects/p/runs/none' })).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      await expect(client.listRunEvents({ name, pageToken: 'x' })).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
      });
    });
  });

  describe('WatchRun', () => {
    it('gives the run, then every event, and ends when the run ends', async () => {
      const name = await createRun();
      const watching = collect({ name });
      await sleep(100);
      for (const payload of complete(name)) await commit(events, name, [payload]);
      expect(casesOf(await watching)).toEqual(['run', ...complete(name).map((payload) => payload.case)]);
    });

    it('goes on after a revision without a gap', async () => {
      const name = await createRun();
      const { run } = await client.getRun({ name });
      await commit(events, name, complete(name));
      const updates = await collect({ name, afterRevision: run?.revision ?? 0n });
      expect(casesOf(updates)).toEqual(['run', ...complete(name).map((payload) => payload.case)]);
      expect(casesOf(await collect({ name, afterRevision: updates.at(-1)?.revision ?? 0n }))).toEqual([
        'run',
      ]);
    });

    it('gives a run that has ended, and ends', async () => {
      const name = await createRun();
      await commit(events, name, complete(name));
      await collect({ name });
      expect(casesOf(await collect({ name }))).toEqual(['run']);
    });

    it('includes progress when asked', async () => {
      const name = await createRun();
      const attemptId = attemptIdOf(name, 'a', 1);
      const progress = { run: name, stepId: 'a', attemptId, time: timestampNow(), fraction: 0.5 };
      const seen: WatchRunResponse[] = [];
      for await (const update of client.watchRun({ name, includeProgress: true })) {
        seen.push(update);
        if (update.update.case === 'run') {
          events.progress.publish(create(StepProgressSchema, progress));
          await events.progress.flush();
        }
        if (update.update.case === 'progress') await commit(events, name, complete(name));
      }
      expect(casesOf(seen).slice(0, 2)).toEqual(['run', 'progress']);
      expect(seen[1]?.revision).toBe(0n);
    });

    it('begins with how far the run is, as GetRun and ListRuns say it', async () => {
      const name = await createRun({ graph: { steps: ['a', 'b'].map((id) => ({ id, phase: 'noop' })) } });
      const attemptId = attemptIdOf(name, 'b', 1);
      await commit(events, name, [
        ...complete(name).slice(0, -1),
        { case: 'stepReady', value: { stepId: 'b' } },
        { case: 'stepScheduled', value: { stepId: 'b', attemptId, number: 1, fencingToken: 1n } },
        { case: 'stepStarted', value: { stepId: 'b', attemptId, worker: 'w' } },
      ]);
      const shown = async () => {
        const { run: full } = await client.getRun({ name });
        const { run: basic } = await client.getRun({ name, view: RunView.BASIC });
        const { runs } = await client.listRuns({ parent, pageSize: 1 });
        return [full, basic, ...runs];
      };
      for (const run of await shown())
        expect([run?.name, run?.fraction, run?.eta]).toEqual([name, 0.5, undefined]);
      const eta = durationFromMs(3_600_000);
      events.progress.publish(
        create(StepProgressSchema, { run: name, stepId: 'b', attemptId, fraction: 0.5, eta }),
      );
      while ((await client.getRun({ name })).run?.fraction !== 0.75) await sleep(20);
      const watching = client.watchRun({ name })[Symbol.asyncIterator]();
      const { value } = await watching.next();
      await watching.return?.();
      const first = value?.update.case === 'run' ? value.update.value : undefined;
      for (const run of [...(await shown()), first]) {
        expect(run?.fraction).toBe(0.75);
        expect(run?.eta && durationMs(run.eta)).toBeGreaterThan(3_000_000);
      }
      await commit(events, name, [
        { case: 'stepCancelled', value: { stepId: 'b' } },
        { case: 'runFailed', value: { failure: { code: 'ABORTED' } } },
      ]);
      await collect({ name });
      for (const run of await shown()) expect([run?.fraction, run?.eta]).toEqual([0.5, undefined]);
    });

    it('loses no event for a reader that is slow, and follows a run that is retried', async () => {
      const name = await createRun();
      const seen: WatchRunResponse[] = [];
      const watching = (async () => {
        for await (const update of client.watchRun({ name })) {
          seen.push(update);
          if (seen.length % 50 === 0) await sleep(20);
        }
      })();
      await sleep(50);
      for (let i = 0; i < 200; i++)
        await commit(events, name, [{ case: i % 2 ? 'runResumed' : 'runPaused', value: {} }]);
      await commit(events, name, [...complete(name), { case: 'runRetried', value: { stepIds: ['a'] } }]);
      const again: Payload[] = [
        { case: 'stepReady', value: { stepId: 'a' } },
        { case: 'stepCancelled', value: { stepId: 'a' } },
        { case: 'runFailed', value: { failure: { code: 'ABORTED' } } },
      ];
      await commit(events, name, again);
      await watching;
      expect(seen).toHaveLength(1 + 200 + 7 + 3);
      expect(casesOf(seen).at(-1)).toBe('runFailed');
    }, 30_000);

    it('refuses a run that is not there', async () => {
      await expect(collect({ name: 'projects/p/runs/none' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });
  });
});
