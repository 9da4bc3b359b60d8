import { type Ordered, SortedLog } from './sorted-log.js';

const place = (sequence: number, offset = 0): Ordered => ({ sequence: BigInt(sequence), offset });
const names = (entries: Iterable<Ordered>) =>
  [...entries].map(({ sequence, offset }) => `${sequence}.${offset}`);

describe('SortedLog', () => {
  const log = new SortedLog<Ordered>();
  for (const [sequence, offset] of [
    [1, 0],
    [3, 0],
    [2, 1],
    [2, 0],
    [9, 0],
  ] as const)
    log.add(place(sequence, offset));

  it('keeps order whatever the order of arrival', () => {
    expect(names(log.ascending())).toEqual(['1.0', '2.0', '2.1', '3.0', '9.0']);
    expect(names(log.descending())).toEqual(['9.0', '3.0', '2.1', '2.0', '1.0']);
  });

  it('goes on after a place, in either direction, whether an entry is there or not', () => {
    expect(names(log.ascending(place(2, 0)))).toEqual(['2.1', '3.0', '9.0']);
    expect(names(log.descending(place(2, 1)))).toEqual(['2.0', '1.0']);
    expect(names(log.ascending(place(5)))).toEqual(['9.0']);
    expect(names(log.descending(place(5)))).toEqual(['3.0', '2.1', '2.0', '1.0']);
  });
});
