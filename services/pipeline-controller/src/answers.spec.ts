import {
  GetRunResponseSchema,
  ListStepsResponseSchema,
  RunEventSchema,
  RunSchema,
  RunState,
  type Step,
  StepSchema,
  StepState,
  WaitKind,
  WaitReasonSchema,
  WatchRunResponseSchema,
} from '@agentforge/contracts';
import { EncodedReply } from '@agentforge/service-kit';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { eventUpdate, runAnswer, stepsAnswer } from './answers.js';

const run = (state: RunState) => create(RunSchema, { name: 'projects/p/runs/r', state, stepCount: 3 });

describe('runAnswer()', () => {
  it('gives a run that has ended as the same bytes each time', () => {
    const ended = run(RunState.COMPLETED);
    const answer = runAnswer(ended);
    expect(answer).toBeInstanceOf(EncodedReply);
    expect(runAnswer(ended)).toBe(answer);
    expect(fromBinary(GetRunResponseSchema, (answer as EncodedReply).bytes).run).toEqual(ended);
  });

  it('gives a run that goes on as it is, since it may change', () => {
    const live = run(RunState.RUNNING);
    expect(runAnswer(live)).toEqual({ run: live });
  });
});

const encoded = (step: Step) => ({
  id: step.spec?.id ?? '',
  mayWait: true,
  bytes: toBinary(StepSchema, step),
});

describe('stepsAnswer()', () => {
  it.each([0, 1, 3])('is the message of a page of %i steps', (count) => {
    const steps = Array.from({ length: count }, (_, i) =>
      create(StepSchema, { spec: { id: `s${i}`, phase: 'noop' }, state: StepState.READY }),
    );
    const page = { nextPageToken: count === 0 ? '' : 'more', revision: 2n ** 40n };
    const { bytes } = stepsAnswer({ ...page, steps: steps.map(encoded) }, new Map());
    expect(fromBinary(ListStepsResponseSchema, bytes)).toEqual(
      create(ListStepsResponseSchema, { ...page, steps }),
    );
  });

  it('says why steps wait, of those that do', () => {
    const [first, second] = ['a', 'b'].map((id) =>
      create(StepSchema, { spec: { id }, state: StepState.READY }),
    );
    const waits = [create(WaitReasonSchema, { kind: WaitKind.RESOURCES, message: 'no pool has room' })];
    if (!first || !second) throw new Error('there are two');
    const page = { steps: [first, second].map(encoded), nextPageToken: '', revision: 1n };
    const { bytes } = stepsAnswer(page, new Map([['b', waits]]));
    expect(fromBinary(ListStepsResponseSchema, bytes).steps).toEqual([first, { ...second, waits }]);
  });
});

describe('eventUpdate()', () => {
  it('is the update with event and revision, the same bytes for every watcher', () => {
    const event = create(RunEventSchema, { payload: { case: 'runPaused', value: {} } });
    const update = eventUpdate(event, 7n);
    expect(eventUpdate(event, 7n)).toBe(update);
    expect(fromBinary(WatchRunResponseSchema, update.bytes)).toEqual(
      create(WatchRunResponseSchema, { update: { case: 'event', value: event }, revision: 7n }),
    );
  });
});
