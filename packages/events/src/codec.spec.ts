import { RunEventBatchSchema, StepTaskSchema } from '@agentforge/contracts';
import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { RUN, startedReport, taskOf } from '../test/histories.js';
import { runEventBatchCodec, stepReportCodec, stepTaskCodec } from './codec.js';
import {
  attemptIdOf,
  InvalidNameError,
  InvalidRunNameError,
  MalformedMessageError,
  stepSeedOf,
  UnsupportedVersionError,
} from './index.js';
import { KeyedQueue } from './stream/keyed-queue.js';
import { runOfSubject, runSubject, taskSubject } from './subjects.js';

describe('codecs', () => {
  it('give back what they were given', () => {
    expect(stepTaskCodec.decode(stepTaskCodec.encode(taskOf('s')))).toEqual(taskOf('s'));
    expect(stepReportCodec.decode(stepReportCodec.encode(startedReport('s')))).toEqual(startedReport('s'));
  });

  it('refuse any bytes as malformed or of another version, or decode them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const codec of [stepTaskCodec, stepReportCodec, runEventBatchCodec]) {
          try {
            codec.decode(bytes);
          } catch (error) {
            expect([MalformedMessageError, UnsupportedVersionError]).toContain((error as Error).constructor);
          }
        }
      }),
    );
  });

  it('name what is missing', () => {
    const decode = (init: Parameters<typeof create<typeof StepTaskSchema>>[1]) => () =>
      stepTaskCodec.decode(toBinary(StepTaskSchema, create(StepTaskSchema, init)));
    expect(decode({ phase: 'p', attemptNumber: 1, run: 'r' })).toThrow(/run is not a run name/);
    expect(decode({ phase: 'p', attemptNumber: 1, run: RUN })).toThrow(/no step_id/);
    expect(decode({ phase: 'p', attemptNumber: 0, run: RUN })).toThrow(/attempt_number/);
    const empty = toBinary(RunEventBatchSchema, create(RunEventBatchSchema, { run: RUN, events: [{}] }));
    expect(() => runEventBatchCodec.decode(empty)).toThrow(/events\[0\] has no payload/);
  });
});

describe('subjects and ids', () => {
  it('map a run to its subject and back', () => {
    expect(runSubject('projects/p-1/runs/r2')).toBe('forge.runs.p-1.r2');
    expect(runOfSubject('forge.runs.p-1.r2')).toBe('projects/p-1/runs/r2');
    expect(attemptIdOf('projects/p/runs/r', 'step_1', 3)).toBe('p.r.step_1.3');
  });

  it('let nothing into a subject that could reach another', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom('*', '>', 'a.b', 'a b', '', 'a\n')), (text) => {
        for (const make of [
          () => runSubject(text),
          () => taskSubject(text, 'p.r.s.1'),
          () => attemptIdOf(RUN, text, 1),
        ]) {
          try {
            expect(make()).toMatch(/^[A-Za-z0-9._-]+$/);
          } catch (error) {
            if (!(error instanceof InvalidNameError || error instanceof InvalidRunNameError)) throw error;
          }
        }
      }),
    );
  });

  it('derive the seed of a step from the graph’s seed and its id', () => {
    // first 8 bytes of sha256("7/train"), by `printf 7/train | sha256sum`
    expect(stepSeedOf(7n, { id: 'train' })).toBe(0xd5a87efaab0bcd01n);
    expect(stepSeedOf(7n, { id: 'train', seed: 5n })).toBe(5n);
    expect(stepSeedOf(7n, { id: 'other' })).not.toBe(stepSeedOf(8n, { id: 'other' }));
  });
});

describe('KeyedQueue', () => {
  it('runs one task of a key at a time, in order, whatever fails, and forgets keys', async () => {
    const queue = new KeyedQueue();
    const log: string[] = [];
    const task =
      (name: string, fails = false) =>
      async () => {
        log.push(`${name} begins`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      };
    const results = await Promise.allSettled([
      queue.run('a', task('a1', true)),
      queue.run('a', task('a2')),
      queue.run('b', task('b1')),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(log.indexOf('a2 begins')).toBeGreaterThan(log.indexOf('a1 ends'));
    expect(log.indexOf('b1 begins')).toBeLessThan(log.indexOf('a1 ends'));
    expect(queue.size).toBe(0);
  });
});
