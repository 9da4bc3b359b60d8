import fc from 'fast-check';
import { PersistentList } from './persistent-list.js';
import { PositionSet } from './position-set.js';

describe('PersistentList', () => {
  it('behaves like an array that is copied at every change', () => {
    const change = fc.tuple(fc.nat({ max: 2999 }), fc.nat());
    fc.assert(
      fc.property(
        fc.array(fc.nat(), { minLength: 1, maxLength: 3000, size: 'medium' }),
        fc.array(change),
        (start, changes) => {
          let list = PersistentList.from(start);
          let model = [...start];
          for (const [position, value] of changes) {
            const before = list;
            const copy = [...model];
            if (position >= model.length) {
              expect(() => list.with(position, value)).toThrow(RangeError);
              list = list.concat([value]);
              model.push(value);
            } else {
              list = list.with(position, value);
              model = model.with(position, value);
            }
            expect(before.toArray()).toEqual(copy);
          }
          expect([...list]).toEqual(model);
          expect(list.length).toBe(model.length);
          expect(list.at(0)).toBe(model[0]);
          expect(list.at(model.length)).toBeUndefined();
        },
      ),
    );
  });
});

describe('PersistentList of every depth', () => {
  it.each([1, 32, 33, 1024, 1025, 5000])('holds %i elements, and one changed', (length) => {
    const elements = Array.from({ length }, (_, i) => i);
    const list = PersistentList.from(elements);
    for (const position of [0, length >> 1, length - 1]) {
      const changed = list.with(position, -1);
      expect(changed.at(position)).toBe(-1);
      expect(changed.toArray()).toEqual(elements.with(position, -1));
    }
    expect(list.toArray()).toEqual(elements);
  });
});

describe('PositionSet', () => {
  it('behaves like a sorted set that is copied at every change', () => {
    const change = fc.tuple(fc.boolean(), fc.nat({ max: 3000 }));
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3000 })), fc.array(change), (start, changes) => {
        let set = PositionSet.from(start);
        const model = new Set(start);
        for (const [isAdded, position] of changes) {
          const before = [...set];
          const previous = set;
          set = isAdded ? set.with(position) : set.without(position);
          if (isAdded) model.add(position);
          else model.delete(position);
          expect([...previous]).toEqual(before);
          expect(set.has(position)).toBe(isAdded);
        }
        expect([...set]).toEqual([...model].sort((a, b) => a - b));
        expect(set.size).toBe(model.size);
      }),
    );
  });
});
