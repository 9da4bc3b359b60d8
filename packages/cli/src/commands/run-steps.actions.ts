import { type Step, StepSchema } from '@agentforge/contracts';
import { type JsonValue, toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { type StepQuery, stepPages } from '../api/list-steps.js';
import { listing } from '../output/format.js';
import { formatSeconds } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';
import { stepStateName } from '../watch/states.js';

/** What a line says of a step: a run may have very many. */
interface Row {
  readonly id: string;
  readonly phase: string;
  readonly state: string;
  readonly attempts: number;
  readonly time: string;
  readonly why: string;
}

/** Lists all steps of a run that match, however many they are. */
export async function listSteps(session: Session, options: StepQuery, text: string): Promise<void> {
  const client = await session.pipeline();
  const name = await session.runName(text);
  const format = await session.format();
  const isWhole = format === 'json' || format === 'yaml';
  const rows: Row[] = [];
  const values: JsonValue[] = [];
  for await (const { steps } of stepPages(client, name, options, session.io.interruption()))
    for (const step of steps) {
      rows.push(rowOf(step));
      if (isWhole) values.push(toJson(StepSchema, step));
    }
  await session.print(
    listing(
      rows,
      [
        { title: 'step', value: ({ id }) => printable(id) },
        { title: 'phase', value: ({ phase }) => printable(phase) },
        { title: 'state', value: ({ state }) => state },
        { title: 'attempts', align: 'right', value: ({ attempts }) => String(attempts) },
        { title: 'time', align: 'right', value: ({ time }) => time },
        { title: 'outcome', value: ({ why }) => printable(why) },
      ],
      { value: values, name: ({ id }) => id, empty: 'no steps' },
    ),
  );
}

function rowOf({ spec, state, attempts, result, failure, cachedFrom }: Step): Row {
  const cached = cachedFrom ? ', from the step cache' : '';
  return {
    id: spec?.id ?? '',
    phase: spec?.phase ?? '',
    state: stepStateName(state),
    attempts: attempts.length,
    time: timeOf(attempts),
    why: failure ? `${failure.code}: ${failure.message}` : `${result?.outcome ?? ''}${cached}`,
  };
}

/** From the first start of an attempt to the end of the last one, or until now. */
function timeOf(attempts: Step['attempts']): string {
  const start = attempts.find(({ startTime }) => startTime)?.startTime;
  if (!start) return '–';
  const end = attempts.at(-1)?.endTime;
  return formatSeconds(
    ((end ? timestampDate(end) : new Date()).getTime() - timestampDate(start).getTime()) / 1_000,
  );
}
