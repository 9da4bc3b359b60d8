import fc from 'fast-check';
import { type Cron, matchesLocal, parseCron } from './cron.js';
import { countTimes, dueTimes, MAX_COUNTED, MAX_MISSED, nextTime } from './fire-times.js';
import { isTimeZone, localOf } from './time-zone.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

function cronOf(text: string): Cron {
  const { cron, problems } = parseCron(text);
  if (!cron) throw new Error(problems.join());
  return cron;
}

/** The first times after an instant, as text in UTC. */
function times(text: string, zone: string, after: string, count: number): string[] {
  const found: string[] = [];
  for (let ms = Date.parse(after); found.length < count; ) {
    ms = nextTime(cronOf(text), zone, ms) ?? Number.NaN;
    found.push(new Date(ms).toISOString().replace(':00.000Z', 'Z'));
  }
  return found;
}

/** Minute by minute: fires at a local time that it has for the first time, and at the end of a gap with one in it. */
function naiveTimes(cron: Cron, zone: string, afterMs: number, untilMs: number): number[] {
  const found: number[] = [];
  let latestLocal = localOf(zone, afterMs);
  for (let ms = afterMs + MINUTE_MS; ms <= untilMs; ms += MINUTE_MS) {
    const local = localOf(zone, ms);
    let fires = false;
    for (let l = latestLocal + MINUTE_MS; l <= local; l += MINUTE_MS) fires ||= matchesLocal(cron, l);
    latestLocal = Math.max(latestLocal, local);
    if (fires) found.push(ms);
  }
  return found;
}

describe('parseCron()', () => {
  it.each([
    ['30 6 * * *', 'UTC', ['2026-01-01T06:30Z', '2026-01-02T06:30Z']],
    ['*/20 * * * *', 'UTC', ['2026-01-01T00:20Z', '2026-01-01T00:40Z']],
    ['5/25 0 * * *', 'UTC', ['2026-01-01T00:05Z', '2026-01-01T00:30Z']],
    ['0 12 * feb-MAR 7', 'UTC', ['2026-02-01T12:00Z', '2026-02-08T12:00Z']],
    ['0 0 13 * FRI', 'UTC', ['2026-01-02T00:00Z', '2026-01-09T00:00Z', '2026-01-13T00:00Z']],
    ['0 0 29 2 *', 'UTC', ['2028-02-29T00:00Z', '2032-02-29T00:00Z']],
    ['0 9-17/4,23 * * MON-FRI', 'UTC', ['2026-01-01T09:00Z', '2026-01-01T13:00Z', '2026-01-01T17:00Z']],
    ['@monthly', 'UTC', ['2026-02-01T00:00Z', '2026-03-01T00:00Z']],
    ['0 0 * * *', 'Asia/Kathmandu', ['2026-01-01T18:15Z', '2026-01-02T18:15Z']],
  ])('%s in %s', (text, zone, expected) => {
    expect(times(text, zone, '2026-01-01T00:00Z', expected.length)).toEqual(expected);
  });

  it.each([
    ['* * * *', /has 4 fields/],
    ['@never', /not one of/],
    ['60 * * * *', /minute "60" must be 0 to 59/],
    ['* 5-3 * * *', /ends before it begins/],
    ['*/0 * * * *', /step of 0/],
    ['* * 0 * *', /day of month "0"/],
    ['* * * FOO *', /month "FOO"/],
    ['0 0 30 2 *', /never fire/],
    ['* * * * * *', /has 6 fields/],
    ['__proto__', /has 1 field/],
    ['constructor', /has 1 field/],
  ])('refuses %s', (text, problem) => {
    expect(parseCron(text).problems.join()).toMatch(problem);
  });

  it('tells every problem at once', () => {
    expect(parseCron('61 25 x * *').problems).toHaveLength(3);
  });

  it('reads anything without throwing', () => {
    fc.assert(fc.property(fc.string(), (text) => parseCron(text).problems.length >= 0));
  });
});

describe('nextTime()', () => {
  it('takes a time that the zone skips at the end of the gap, once', () => {
    expect(times('30 2 * * *', 'Europe/Zurich', '2026-03-28T12:00Z', 2)).toEqual([
      '2026-03-29T01:00Z',
      '2026-03-30T00:30Z',
    ]);
    expect(times('*/15 2 * * *', 'Europe/Zurich', '2026-03-28T12:00Z', 2)).toEqual([
      '2026-03-29T01:00Z',
      '2026-03-30T00:00Z',
    ]);
  });

  it('takes a time that the zone repeats the first time only', () => {
    expect(times('30 2 * * *', 'Europe/Zurich', '2026-10-24T12:00Z', 2)).toEqual([
      '2026-10-25T00:30Z',
      '2026-10-26T01:30Z',
    ]);
  });

  it('survives a day that a country left out', () => {
    expect(times('0 12 * * *', 'Pacific/Apia', '2011-12-29T00:00Z', 3)).toEqual([
      '2011-12-29T22:00Z',
      '2011-12-30T10:00Z',
      '2011-12-30T22:00Z',
    ]);
  });

  it('agrees with a model that looks at every minute, also where the clocks change', () => {
    const zones = ['UTC', 'Europe/Zurich', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata'];
    const changes = ['2026-03-29', '2026-10-25', '2026-03-08', '2026-11-01', '2026-04-05', '2026-10-04'];
    const field = (max: number) =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min: 0, max }).map(String),
        fc.integer({ min: 2, max: 30 }).map((n) => `*/${n}`),
      );
    const arbitrary = fc.record({
      zone: fc.constantFrom(...zones),
      day: fc.constantFrom(...changes),
      startH: fc.integer({ min: -14, max: 4 }),
      minute: field(59),
      hour: fc.oneof(field(23), fc.constantFrom('1', '2', '3', '1-3')),
      weekday: fc.oneof(fc.constant('*'), fc.integer({ min: 0, max: 6 }).map(String)),
    });
    fc.assert(
      fc.property(arbitrary, ({ zone, day, startH, minute, hour, weekday }) => {
        const cron = cronOf(`${minute} ${hour} * * ${weekday}`);
        const fromMs = Date.parse(`${day}T00:00Z`) + startH * HOUR_MS;
        const untilMs = fromMs + 14 * HOUR_MS;
        const found: number[] = [];
        for (let ms = nextTime(cron, zone, fromMs); ms !== undefined && ms <= untilMs; ) {
          found.push(ms);
          ms = nextTime(cron, zone, ms);
        }
        expect(found).toEqual(naiveTimes(cron, zone, fromMs, untilMs));
      }),
      { numRuns: 60 },
    );
  });
});

describe('isTimeZone()', () => {
  it.each(['UTC', 'Europe/Zurich', 'America/Argentina/Buenos_Aires'])('knows %s', (name) => {
    expect(isTimeZone(name)).toBe(true);
  });
  it.each(['', 'Europe/Nowhere', '+02:00', '../etc/passwd'])('does not know %p', (name) => {
    expect(isTimeZone(name)).toBe(false);
  });
});

describe('dueTimes()', () => {
  const hourly = (ms: number) => nextTime(cronOf('@hourly'), 'UTC', ms);
  const due = (policy: 'skip' | 'one' | 'all', sinceH: number, nowMs: number, deadlineH = 1_000) =>
    dueTimes(hourly, sinceH * HOUR_MS, nowMs, policy, deadlineH * HOUR_MS);

  it('fires what is on time under every policy', () => {
    for (const policy of ['skip', 'one', 'all'] as const)
      expect(due(policy, 9, 10 * HOUR_MS + 5_000)).toMatchObject({ fire: [10 * HOUR_MS], leftOut: 0 });
    expect(due('all', 10, 10 * HOUR_MS + 5_000).fire).toEqual([]);
  });

  it('treats missed times as the policy says', () => {
    const nowMs = 10.5 * HOUR_MS;
    expect(due('skip', 6, nowMs)).toMatchObject({ fire: [], leftOut: 4 });
    expect(due('one', 6, nowMs)).toMatchObject({ fire: [10 * HOUR_MS], leftOut: 3 });
    expect(due('all', 6, nowMs).fire).toEqual([7, 8, 9, 10].map((h) => h * HOUR_MS));
    expect(due('all', 6, nowMs, 2).fire).toEqual([9, 10].map((h) => h * HOUR_MS));
  });

  it('creates at most a hundred runs for missed times, the newest', () => {
    const { fire, leftOut } = due('all', 0, 300.5 * HOUR_MS);
    expect(fire).toHaveLength(MAX_MISSED);
    expect(fire.at(-1)).toBe(300 * HOUR_MS);
    expect(leftOut).toBe(200);
  });
});

describe('countTimes()', () => {
  const hourly = (ms: number) => nextTime(cronOf('@hourly'), 'UTC', ms);

  it('counts what is beyond the deadline, so that with what dueTimes() says every time is told', () => {
    for (const policy of ['skip', 'one', 'all'] as const) {
      const due = dueTimes(hourly, 2 * HOUR_MS, 10.5 * HOUR_MS, policy, 3 * HOUR_MS);
      const beyond = countTimes(hourly, 2 * HOUR_MS, due.fromMs);
      expect(beyond).toBe(5);
      expect(due.fire.length + due.leftOut + beyond).toBe(8);
    }
    expect(countTimes(hourly, 2 * HOUR_MS, 2 * HOUR_MS)).toBe(0);
  });

  it('ends, however long nobody looked', () => {
    expect(countTimes(hourly, 0, 9_000 * HOUR_MS)).toBe(MAX_COUNTED);
  });
});
