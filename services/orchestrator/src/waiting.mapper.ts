import { type ResourceRequest, WaitKind, WaitReasonSchema } from '@agentforge/contracts';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Wait } from './engine/admission/wait.js';

const GIB = 2 ** 30;

/** A reason as callers read it: what is waited for, and what would end it. */
export function toWaitReason(wait: Wait) {
  const { kind, untilMs, stepIds = [], missing, position = 0 } = wait;
  return create(WaitReasonSchema, {
    kind,
    message: messageOf(wait),
    stepIds: [...stepIds],
    position,
    ...(untilMs === undefined ? {} : { until: timestampFromMs(untilMs) }),
    ...(missing ? { missing } : {}),
  });
}

function messageOf({ kind, untilMs, stepIds = [], missing, position, detail }: Wait): string {
  const until = untilMs === undefined ? '' : ` until ${new Date(untilMs).toISOString()}`;
  const place = position ? `; it is number ${position} in the order` : '';
  switch (kind) {
    case WaitKind.UNSPECIFIED:
      return 'waits for an unknown reason';
    case WaitKind.DEPENDENCIES:
      return `waits for ${detail ?? listed(stepIds)}`;
    case WaitKind.RETRY_BACKOFF:
      return `waits${until} before it is tried again`;
    case WaitKind.PAUSED:
      return 'the run is paused; resume it';
    case WaitKind.INPUT_CHECK:
      return 'its inputs are being judged';
    case WaitKind.RUN_LIMIT:
      return `as many steps of the run are in progress as its max_parallel_steps allows: ${listed(stepIds)}`;
    case WaitKind.PROJECT_LIMIT:
      return `${detail ?? 'the quota of its project is used up'}${place}`;
    case WaitKind.RESOURCES:
      return `${detail ?? 'no pool has free what it asks for'}${missing ? `; missing ${amountsOf(missing)}` : ''}${place}`;
    case WaitKind.BREAKER_OPEN:
      return `the phase failed too often and is cut off${until}`;
    case WaitKind.QUEUED_NO_WORKER:
      return `its task is queued and no worker of the phase ${detail ?? ''} is there; start one`.replace(
        '  ',
        ' ',
      );
    case WaitKind.QUEUED_BEHIND:
      return `its task is queued${position && position > 1 ? ` behind ${position - 1} others` : ' and is the next'}`;
    case WaitKind.CACHE_LOOKUP:
      return 'the step cache is being asked for an earlier result';
    case WaitKind.GRAPH_INCOMPLETE:
      return 'the graph is still being written to the log';
    default:
      return kind satisfies never;
  }
}

/** What a request is, in words: "2 cores, 4.0 GiB". */
export function amountsOf({ cpu, memoryBytes, gpus, gpuMemoryBytes }: ResourceRequest): string {
  const parts = [
    cpu > 0 ? `${cpu} ${cpu === 1 ? 'core' : 'cores'}` : '',
    memoryBytes > 0n ? `${gib(memoryBytes)} of memory` : '',
    gpus > 0 ? `${gpus} ${gpus === 1 ? 'accelerator' : 'accelerators'}` : '',
    gpuMemoryBytes > 0n ? `${gib(gpuMemoryBytes)} on each accelerator` : '',
  ].filter((part) => part !== '');
  return parts.length > 0 ? parts.join(', ') : 'nothing';
}

const gib = (bytes: bigint): string => `${(Number(bytes) / GIB).toFixed(2)} GiB`;

/** The first few names; the others are counted. */
function listed(stepIds: readonly string[]): string {
  const shown = stepIds.slice(0, 5).map((id) => `"${id}"`);
  const more = stepIds.length - shown.length;
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ') || 'other steps';
}
