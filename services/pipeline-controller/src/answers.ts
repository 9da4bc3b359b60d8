import {
  GetRunResponseSchema,
  ListStepsResponseSchema,
  type Run,
  type RunEvent,
  WatchRunResponseSchema,
} from '@agentforge/contracts';
import { isTerminalRun } from '@agentforge/events';
import { EncodedReply } from '@agentforge/service-kit';
import { create, toBinary } from '@bufbuild/protobuf';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** A page of steps that are encoded already, and the revision of the run that it shows. */
export interface StepPage {
  readonly steps: readonly Uint8Array[];
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

/** A page of steps as an answer, put together from the bytes of its steps. */
export function stepsAnswer({ steps, nextPageToken, revision }: StepPage): EncodedReply {
  const writer = new BinaryWriter();
  const { number } = ListStepsResponseSchema.field.steps;
  for (const step of steps) writer.tag(number, WireType.LengthDelimited).bytes(step);
  // Fields that follow those of another part belong to the same message.
  const rest = toBinary(
    ListStepsResponseSchema,
    create(ListStepsResponseSchema, { nextPageToken, revision }),
  );
  return new EncodedReply(writer.raw(rest).finish());
}
