import {
  type Breaker,
  BreakerSchema,
  BreakerState,
  type DeadLetter,
  DeadLetterSchema,
} from '@agentforge/contracts';
import { toJson } from '@bufbuild/protobuf';
import { timestampDate } from '@bufbuild/protobuf/wkt';
import { UsageError } from '../errors.js';
import { listing } from '../output/format.js';
import type { Style } from '../output/style.js';
import { formatBytes } from '../output/units.js';
import { printable } from '../output/width.js';
import type { Session } from '../session.js';

/** Options of `dlq list`. */
export interface ListOptions {
  readonly origin?: string;
  readonly phase?: string;
  readonly reason?: string;
  readonly run?: string;
  readonly filter?: string;
  readonly limit: number;
}

/** Bytes of a letter that are shown to people. */
const SHOWN_BYTES = 256;

/** Lists dead letters. */
export async function listLetters(session: Session, options: ListOptions): Promise<void> {
  const client = await session.operations();
  const { origin, phase, reason, filter } = options;
  const run = options.run === undefined ? undefined : await session.runName(options.run);
  const terms = Object.entries({ origin, phase, reason, run }).flatMap(([field, value]) =>
    value === undefined ? [] : [`${field} = ${JSON.stringify(value)}`],
  );
  const query = [...terms, ...(filter ? [filter] : [])].join(' AND ');
  const found: DeadLetter[] = [];
  let pageToken = '';
  do {
    const pageSize = Math.min(1_000, options.limit - found.length);
    const page = await client.listDeadLetters({ pageSize, pageToken, filter: query });
    found.push(...page.deadLetters);
    pageToken = page.nextPageToken;
  } while (pageToken !== '' && found.length < options.limit);
  await session.print(
    listing(
      found,
      [
        { title: 'letter', align: 'right', value: ({ sequence }) => String(sequence) },
        { title: 'origin', value: (letter) => letter.origin },
        { title: 'reason', value: (letter) => printable(letter.reason) },
        { title: 'phase', value: (letter) => printable(letter.phase) },
        { title: 'step', value: aboutOf },
        { title: 'given up', value: timeOf },
        { title: 'why', value: ({ message }) => printable(message.slice(0, 80)) },
      ],
      {
        value: found.map((letter) => toJson(DeadLetterSchema, letter)),
        name: ({ sequence }) => String(sequence),
        empty: 'no dead letters',
      },
    ),
  );
}

/** Shows one with its bytes. */
export async function showLetter(session: Session, _options: object, text: string): Promise<void> {
  const { deadLetter } = await (await session.operations()).getDeadLetter({ sequence: sequenceOf(text) });
  if (!deadLetter) return;
  await session.print({
    value: toJson(DeadLetterSchema, deadLetter),
    names: [text],
    table: (style) => describe(deadLetter, style),
  });
}

/** Sends letters again, one after another. */
export async function redriveLetters(session: Session, _options: object, ...texts: string[]): Promise<void> {
  const client = await session.operations();
  const done: { sequence: bigint; subject: string; stepRetried: boolean }[] = [];
  for (const sequence of texts.map(sequenceOf)) {
    const { subject, stepRetried } = await client.redriveDeadLetter({ sequence });
    session.remark(`${sequence} ${stepRetried ? 'its step is tried again' : `sent to ${subject}`}`);
    done.push({ sequence, subject, stepRetried });
  }
  await session.print({
    value: done.map(({ sequence, ...rest }) => ({ sequence: String(sequence), ...rest })),
    names: done.map(({ sequence }) => String(sequence)),
    table: () => '',
  });
}

/** Removes letters, one after another. */
export async function deleteLetters(session: Session, _options: object, ...texts: string[]): Promise<void> {
  const client = await session.operations();
  for (const sequence of texts.map(sequenceOf)) {
    await client.deleteDeadLetter({ sequence });
    session.remark(`${sequence} deleted`);
  }
  await session.print({ value: texts.map((sequence) => ({ sequence })), names: texts, table: () => '' });
}

/** Lists the breakers of phases. */
export async function listBreakers(session: Session): Promise<void> {
  const { breakers } = await (await session.operations()).listBreakers({});
  await session.print(
    listing(
      breakers,
      [
        { title: 'phase', value: ({ phase }) => phase },
        { title: 'state', value: stateOf },
        { title: 'failures', align: 'right', value: ({ failures }) => String(failures) },
        {
          title: 'tries again',
          value: ({ retryTime }) => (retryTime ? timestampDate(retryTime).toISOString() : '–'),
        },
        {
          title: 'last failure',
          value: ({ lastFailure }) => printable(lastFailure?.message.slice(0, 80) ?? ''),
        },
      ],
      {
        value: breakers.map((breaker) => toJson(BreakerSchema, breaker)),
        name: ({ phase }) => phase,
        empty: 'no phase has failed',
      },
    ),
  );
}

function describe(letter: DeadLetter, style: Style): string {
  const facts: [string, string][] = [
    ['letter', String(letter.sequence)],
    ['origin', `${letter.origin} (${letter.subject})`],
    ['reason', letter.reason],
    ['why', letter.message],
    ['run', letter.run || '–'],
    ['step', letter.stepId || '–'],
    ['attempt', letter.attemptId || '–'],
    ['phase', letter.phase || '–'],
    ['deliveries', letter.deliveries > 0 ? String(letter.deliveries) : '–'],
    ['given up', timeOf(letter)],
    ['size', `${formatBytes(letter.sizeBytes)}${letter.truncated ? ' (only the first part is kept)' : ''}`],
  ];
  const lines = facts.map(([name, value]) => `${style.dim(name.padEnd(12))}${printable(value)}`);
  return [...lines, '', ...hexLines(letter.payload)].join('\n');
}

/** The first bytes, sixteen in a line, with the text that they may be. */
function hexLines(payload: Uint8Array): string[] {
  const shown = Buffer.from(payload.subarray(0, SHOWN_BYTES));
  const lines: string[] = [];
  for (let at = 0; at < shown.length; at += 16) {
    const part = shown.subarray(at, at + 16);
    const hex = [...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = part.toString('latin1').replace(/[^\x20-\x7e]/g, '.');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${hex.padEnd(47)}  ${text}`);
  }
  return payload.length > SHOWN_BYTES
    ? [...lines, `… ${payload.length - SHOWN_BYTES} more bytes: -o json`]
    : lines;
}

const aboutOf = ({ run, stepId }: DeadLetter): string =>
  run === '' ? '–' : printable(`${run.replace(/^projects\//, '').replace('/runs/', '/')} ${stepId}`.trim());

const timeOf = ({ createTime }: DeadLetter): string =>
  createTime ? timestampDate(createTime).toISOString() : '–';

const stateOf = ({ state }: Breaker): string => (BreakerState[state] ?? '').replace('_', '-').toLowerCase();

function sequenceOf(text: string): bigint {
  if (/^[1-9]\d{0,15}$/.test(text)) return BigInt(text);
  throw new UsageError(`"${text}" is no dead letter; take a number of "forge dlq list"`);
}
