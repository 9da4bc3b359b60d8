import type { Failure, RunEvent } from '@agentforge/contracts';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import type { Style } from '../output/style.js';
import { formatClock, shortDigest } from '../output/units.js';
import { printable } from '../output/width.js';

/** What an event says, and how it is to be taken. */
export interface EventText {
  readonly text: string;
  readonly tone: 'plain' | 'good' | 'warning' | 'bad' | 'detail';
}

/** One line for people about an event: what, and about which step. */
export function describeEvent({ payload }: RunEvent): EventText {
  switch (payload.case) {
    case 'runCreated':
      return plain(`run accepted with ${payload.value.graph?.steps.length ?? 0} steps`);
    case 'runPaused':
      return warning('run paused');
    case 'runResumed':
      return plain('run resumed');
    case 'runCancelRequested':
      return warning(`cancellation asked for${payload.value.reason ? `: ${payload.value.reason}` : ''}`);
    case 'runCompleted':
      return good('run completed');
    case 'runFailed':
      return bad(`run failed${because(payload.value.failure)}`);
    case 'runCancelled':
      return warning('run cancelled');
    case 'runRetried':
      return plain(`run goes on from ${payload.value.stepIds.join(', ')}`);
    case 'stepsAdded':
      return plain(`steps added: ${payload.value.steps.map((step) => step.id).join(', ')}`);
    case undefined:
      return detail('an event that this version does not know');
    default:
      return describeStepEvent(payload);
  }
}

type StepPayload = Exclude<
  RunEvent['payload'],
  { case: undefined } | { case: `run${string}` } | { case: 'stepsAdded' }
>;

function describeStepEvent(payload: StepPayload): EventText {
  const step = `${payload.value.stepId}:`;
  switch (payload.case) {
    case 'stepReady':
      return detail(`${step} ready`);
    case 'stepScheduled': {
      const from = payload.value.checkpoint
        ? `, from checkpoint ${shortDigest(payload.value.checkpoint.digest)}`
        : '';
      return detail(`${step} attempt ${payload.value.number} queued${from}`);
    }
    case 'stepStarted':
      return plain(`${step} started by ${payload.value.worker}`);
    case 'stepCheckpointed':
      return detail(`${step} checkpoint ${shortDigest(payload.value.checkpoint?.digest ?? '')}`);
    case 'stepReported':
      return plain(
        `${step} reported "${payload.value.result?.outcome ?? ''}"; its outputs are being validated`,
      );
    case 'stepAttemptFailed': {
      const again = payload.value.nextAttemptTime ? '; it will be tried again' : '';
      return warning(`${step} attempt failed${because(payload.value.failure)}${again}`);
    }
    case 'stepCompleted': {
      const passed = payload.value.verdicts.filter((verdict) => verdict.valid).length;
      return good(`${step} completed, ${passed} of ${payload.value.verdicts.length} checks passed`);
    }
    case 'stepCacheHit': {
      const { sourceRun, sourceStepId } = payload.value;
      return good(`${step} completed with the result of ${sourceStepId} in ${sourceRun}`);
    }
    case 'stepFailed':
      return bad(`${step} failed${because(payload.value.failure)}`);
    case 'stepFallbackUsed':
      return warning(`${step} fallback ${payload.value.fallback}${because(payload.value.failure)}`);
    case 'stepSkipped':
      return detail(`${step} skipped: ${payload.value.reason}`);
    case 'stepBlocked':
      return warning(`${step} blocked by ${payload.value.causeStepId}`);
    case 'stepCancelled':
      return warning(`${step} cancelled`);
    case 'reportRefused':
      return warning(`${step} a late report (${payload.value.report}) was refused: ${payload.value.reason}`);
  }
}

/** `14:03:59  founders: started by …`, coloured. */
export function renderEvent(event: RunEvent, style: Style): string {
  const { text, tone } = describeEvent(event);
  const time = event.time ? formatClock(timestampDate(event.time)) : '        ';
  const paint = { plain: keep, good: style.green, warning: style.yellow, bad: style.red, detail: style.dim }[
    tone
  ];
  return `${style.dim(time)}  ${paint(printable(text))}`;
}

/** Violations that fit on the line of an event; the report of the run has all. */
const SHOWN_VIOLATIONS = 3;

function because(failure: Failure | undefined): string {
  if (!failure) return '';
  const violations = failure.fieldViolations
    .filter(({ field, description }) => !failure.message.includes(`${field} ${description}`))
    .filter(({ field, description }) => !failure.message.includes(`${field}: ${description}`))
    .slice(0, SHOWN_VIOLATIONS)
    .map(({ field, description }) => `; ${field}: ${description}`);
  return `: ${failure.code} ${failure.message}${violations.join('')}`;
}

const keep = (text: string) => text;
const plain = (text: string): EventText => ({ text, tone: 'plain' });
const good = (text: string): EventText => ({ text, tone: 'good' });
const warning = (text: string): EventText => ({ text, tone: 'warning' });
const bad = (text: string): EventText => ({ text, tone: 'bad' });
const detail = (text: string): EventText => ({ text, tone: 'detail' });
