/** When a calendar schedule fires, as sets of values of local time. */
export interface Cron {
  readonly minutes: ReadonlySet<number>;
  readonly hours: ReadonlySet<number>;
  readonly daysOfMonth: ReadonlySet<number>;
  /** 1 to 12. */
  readonly months: ReadonlySet<number>;
  /** 0 for Sunday to 6. */
  readonly daysOfWeek: ReadonlySet<number>;
  /** Whether a day has to meet only one of its two fields: when neither of them begins with "*" (crontab(5)). */
  readonly isEitherDay: boolean;
}

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly words?: readonly string[];
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const FIELDS: readonly Field[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, words: MONTHS },
  { name: 'day of week', min: 0, max: 7, words: DAYS },
];
const MACROS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    '@hourly': '0 * * * *',
    '@daily': '0 0 * * *',
    '@midnight': '0 0 * * *',
    '@weekly': '0 0 * * 0',
    '@monthly': '0 0 1 * *',
    '@yearly': '0 0 1 1 *',
    '@annually': '0 0 1 1 *',
  }),
);
const MAX_LENGTH = 200;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** The longest wait of a schedule that fires at all: 29 February, over a century without a leap day. */
const HORIZON_MS = 9 * 366 * DAY_MS;

/** Reads a schedule of five fields, or one of the words "@hourly" to "@yearly"; every problem is returned. */
export function parseCron(text: string): { readonly cron?: Cron; readonly problems: readonly string[] } {
  if (text.length > MAX_LENGTH) return { problems: [`is longer than ${MAX_LENGTH} characters`] };
  const trimmed = text.trim();
  const macro = MACROS.get(trimmed.toLowerCase());
  if (trimmed.startsWith('@') && macro === undefined)
    return { problems: [`"${trimmed}" is not one of ${[...MACROS.keys()].join(', ')}`] };
  const parts = (macro ?? trimmed).split(/\s+/).filter((part) => part !== '');
  if (parts.length !== FIELDS.length)
    return {
      problems: [
        `has ${parts.length} fields; must be five: minute hour day-of-month month day-of-week, as in "30 6 * * MON-FRI"`,
      ],
    };
  const problems: string[] = [];
  const [minutes, hours, daysOfMonth, months, weekdays] = FIELDS.map((field, i) =>
    parseField(parts[i] ?? '', field, problems),
  ) as [Set<number>, Set<number>, Set<number>, Set<number>, Set<number>];
  if (problems.length > 0) return { problems };
  const daysOfWeek = new Set([...weekdays].map((day) => day % 7));
  const isEitherDay = !parts[2]?.startsWith('*') && !parts[4]?.startsWith('*');
  const cron = { minutes, hours, daysOfMonth, months, daysOfWeek, isEitherDay };
  return nextLocal(cron, Date.UTC(2000, 0, 1)) === undefined
    ? { problems: ['names a day that no month has, so it would never fire'] }
    : { cron, problems };
}

/** The values of one field: a list of "*", "a", "a-b", each with an optional step "/n". */
function parseField(text: string, field: Field, problems: string[]): Set<number> {
  const values = new Set<number>();
  const refuse = (part: string, why: string) => problems.push(`${field.name} "${part}" ${why}`);
  for (const part of text.split(',')) {
    const match = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d{1,3}))?$/.exec(part);
    if (!match) {
      refuse(part, 'is not "*", a value or a range, with an optional step "/n"');
      continue;
    }
    const [, star, low = '', high, step] = match;
    const from = star ? field.min : fieldValue(low, field);
    const lastOf = () => (high === undefined ? from : fieldValue(high, field));
    const to = star || (high === undefined && step !== undefined) ? field.max : lastOf();
    const width = step === undefined ? 1 : Number(step);
    if (from === undefined || to === undefined)
      refuse(
        part,
        `must be ${field.min} to ${field.max}${field.words ? ` or ${field.words.join(', ')}` : ''}`,
      );
    else if (from > to) refuse(part, 'is a range that ends before it begins');
    else if (width < 1) refuse(part, 'has a step of 0');
    else for (let value = from; value <= to; value += width) values.add(value);
  }
  return values;
}

function fieldValue(text: string, { min, max, words }: Field): number | undefined {
  const word = words?.indexOf(text.toUpperCase()) ?? -1;
  if (word >= 0) return word + min;
  const value = /^\d{1,2}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}

/** The next local time after one, both as if they were UTC, ms; undefined when there is none within nine years. */
export function nextLocal(cron: Cron, afterMs: number): number | undefined {
  let ms = Math.floor(afterMs / MINUTE_MS) * MINUTE_MS + MINUTE_MS;
  for (const endMs = ms + HORIZON_MS; ms < endMs; ) {
    const time = new Date(ms);
    if (!cron.months.has(time.getUTCMonth() + 1))
      ms = Date.UTC(time.getUTCFullYear(), time.getUTCMonth() + 1, 1);
    else if (!isDay(cron, time)) ms = (Math.floor(ms / DAY_MS) + 1) * DAY_MS;
    else if (!cron.hours.has(time.getUTCHours())) ms = (Math.floor(ms / HOUR_MS) + 1) * HOUR_MS;
    else if (!cron.minutes.has(time.getUTCMinutes())) ms += MINUTE_MS;
    else return ms;
  }
  return undefined;
}

/** Whether a schedule fires at a local time, given as if it were UTC. */
export function matchesLocal(cron: Cron, localMs: number): boolean {
  const time = new Date(localMs);
  return (
    cron.minutes.has(time.getUTCMinutes()) &&
    cron.hours.has(time.getUTCHours()) &&
    cron.months.has(time.getUTCMonth() + 1) &&
    isDay(cron, time)
  );
}

function isDay(cron: Cron, time: Date): boolean {
  const isOfMonth = cron.daysOfMonth.has(time.getUTCDate());
  const isOfWeek = cron.daysOfWeek.has(time.getUTCDay());
  return cron.isEitherDay ? isOfMonth || isOfWeek : isOfMonth && isOfWeek;
}
