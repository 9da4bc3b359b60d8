import {
  GetRunResponseSchema,
  ListStepsResponseSchema,
  type Run,
  type RunEvent,
  StepSchema,
  type WaitReason,
  WatchRunResponseSchema,
} from '@agentforge/contracts';
import { isTerminalRun } from '@agentforge/events';
import { EncodedReply } from '@agentforge/service-kit';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A step that is encoded already. */
export interface PageStep {
  readonly id: string;
  /** Whether it may wait for more than other steps: it could run, or its task is in the queue. */
  readonly mayWait: boolean;
  readonly bytes: Uint8Array;
}

/** A page of steps, and the revision of the run that it shows. */
export interface StepPage {
  readonly steps: readonly PageStep[];
  readonly nextPageToken: string;
  readonly revision: bigint;
}

/** Answers about runs that have ended, by the message; they go when it does. */
const runs = new WeakMap<Run, EncodedReply>();
/** Events that were sent to a watcher: the others get the same bytes. */
const events = new WeakMap<RunEvent, EncodedReply>();

/** A run as an answer. One that has ended is encoded once: whoever gives the same message again gets the same bytes. */
export function runAnswer(run: Run) {
  if (!isTerminalRun(run.state)) return { run };
  const known = runs.get(run);
  if (known) return known;
  const answer = new EncodedReply(toBinary(GetRunResponseSchema, create(GetRunResponseSchema, { run })));
  runs.set(run, answer);
  return answer;
}

/** An event as an update, encoded once for all who watch. An event is of one revision. */
export function eventUpdate(event: RunEvent, revision: bigint): EncodedReply {
  const known = events.get(event);
  if (known) return known;
  const update = { case: 'event' as const, value: event };
  const bytes = toBinary(WatchRunResponseSchema, create(WatchRunResponseSchema, { update, revision }));
  const answer = new EncodedReply(bytes);
  events.set(event, answer);
  return answer;
}

/** A page of steps as an answer, put together from the bytes of its steps and of why they wait, by step. */
export function stepsAnswer(
  { steps, nextPageToken, revision }: StepPage,
  waits: ReadonlyMap<string, WaitReason[]>,
): EncodedReply {
  const writer = new BinaryWriter();
  const { number } = ListStepsResponseSchema.field.steps;
  // Fields that follow those of another part belong to the same message: of a step, and of the page.
  for (const { id, bytes } of steps) {
    const reasons = waits.get(id);
    const whole = reasons
      ? Buffer.concat([bytes, toBinary(StepSchema, create(StepSchema, { waits: reasons }))])
      : bytes;
    writer.tag(number, WireType.LengthDelimited).bytes(whole);
  }
  const rest = toBinary(
    ListStepsResponseSchema,
    create(ListStepsResponseSchema, { nextPageToken, revision }),
  );
  return new EncodedReply(writer.raw(rest).finish());
}
