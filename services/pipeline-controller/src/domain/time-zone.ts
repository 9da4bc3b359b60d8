const DAY_MS = 86_400_000;

/** Formats of zones that were asked for: making one costs a thousand times its use. */
const formats = new Map<string, Intl.DateTimeFormat>();
const MAX_FORMATS = 1_000;

/** Whether a name is a zone of the IANA database; offsets such as "+02:00" are not: they know no summer time. */
export function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    formatOf(name);
    return true;
  } catch {
    return false;
  }
}

/** Local time of a zone at an instant, as if it were UTC; both in ms since 1970. */
export function localOf(zone: string, instantMs: number): number {
  const part: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(instantMs)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
  return Date.UTC(year, month - 1, day, hour, minute, second) + (((instantMs % 1_000) + 1_000) % 1_000);
}

/**
 * The instant of a local time: the first one when the zone has it twice, the end of the gap when it skips it. Never
 * decreases as the local time grows.
 */
export function instantOf(zone: string, localMs: number): number {
  const before = offsetAt(zone, localMs - DAY_MS);
  const after = offsetAt(zone, localMs + DAY_MS);
  const found = [localMs - before, localMs - after].filter((ms) => localOf(zone, ms) === localMs);
  if (found.length > 0) return Math.min(...found);
  return transition(zone, localMs - after, localMs - before, before);
}

/** The first instant after `fromMs` at which the zone has left an offset, by bisection down to a second. */
function transition(zone: string, fromMs: number, toMs: number, offsetMs: number): number {
  let low = Math.floor(fromMs / 1_000) - 1;
  let high = Math.ceil(toMs / 1_000) + 1;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetAt(zone, middle * 1_000) === offsetMs) low = middle;
    else high = middle;
  }
  return high * 1_000;
}

const offsetAt = (zone: string, instantMs: number): number => localOf(zone, instantMs) - instantMs;

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (format === undefined) {
    const two = '2-digit';
    format = new Intl.DateTimeFormat('en-US', {
      ...{ timeZone: zone, calendar: 'gregory', hourCycle: 'h23', year: 'numeric' },
      ...{ month: two, day: two, hour: two, minute: two, second: two },
    });
    if (formats.size >= MAX_FORMATS) formats.clear();
    formats.set(zone, format);
  }
  return format;
}
