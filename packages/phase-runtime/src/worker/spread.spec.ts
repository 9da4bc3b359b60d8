import type { JsonValue } from '@bufbuild/protobuf';
import type { SpreadOrder, SpreadWord } from '../subtasks/subtask-messages.js';
import { spreadSubtasks } from './spread.js';
import { MalformedAnswerError } from './worker.errors.js';

const SUBTASKS = [1, 2, 3].map((n) => ({ content: { n }, key: `k${n}` }));

function step(orders?: SpreadOrder[]) {
  const said: SpreadWord[] = [];
  const accepted: [number, JsonValue][] = [];
  const computed: number[] = [];
  const host = {
    batch: 5,
    say: (word: SpreadWord) => void said.push(word),
    orders: orders && { next: async () => orders.shift() ?? Promise.reject(new Error('no more orders')) },
    throwIfAborted: () => undefined,
  };
  const work = {
    memoryBytes: 7,
    compute: async (subtask: JsonValue, index: number) => {
      computed.push(index);
      return (subtask as { n: number }).n ** 2;
    },
    accept: (index: number, answer: JsonValue) => {
      if (typeof answer !== 'number') return false;
      accepted.push([index, answer]);
      return true;
    },
  };
  return { said, accepted, computed, host, work };
}

const kinds = (said: readonly SpreadWord[]) =>
  said.map((word) => ('index' in word ? `${word.kind} ${word.index}` : word.kind));

describe('spreadSubtasks()', () => {
  it('computes everything here, in order, when it is alone', async () => {
    const { accepted, said, host, work } = step();
    await spreadSubtasks(SUBTASKS, work, host);
    expect(accepted).toEqual([
      [0, 1],
      [1, 4],
      [2, 9],
    ]);
    expect(said).toEqual([]);
  });

  it('computes what it is told, takes what others answer, and hands each answer over once', async () => {
    const { accepted, computed, said, host, work } = step([
      { kind: 'compute', batch: 5, index: 0 },
      { kind: 'answer', batch: 5, index: 2, json: '9' },
      { kind: 'compute', batch: 5, index: 1 },
      { kind: 'answer', batch: 5, index: 1, json: '4' },
    ]);
    await spreadSubtasks(SUBTASKS, work, host);
    expect(computed).toEqual([0, 1]);
    expect(accepted.map(([index]) => index)).toEqual([0, 2, 1]);
    expect(said[0]).toEqual({
      kind: 'spread',
      batch: 5,
      subtasks: [1, 2, 3].map((n) => ({ json: `{"n":${n}}`, key: `k${n}` })),
      memoryBytes: 7,
    });
    expect(kinds(said)).toEqual(['spread', 'computed 0', 'accepted 2', 'computed 1', 'withdrawn']);
  });

  it('drops what an earlier batch left behind', async () => {
    const { accepted, computed, host, work } = step([
      { kind: 'answer', batch: 4, index: 1, json: '99' },
      { kind: 'compute', batch: 4, index: 0 },
      { kind: 'answer', batch: 5, index: 1, json: '4' },
      { kind: 'compute', batch: 5, index: 0 },
      { kind: 'compute', batch: 5, index: 2 },
    ]);
    await spreadSubtasks(SUBTASKS, work, host);
    expect(computed).toEqual([0, 2]);
    expect(accepted.toSorted()).toEqual([
      [0, 1],
      [1, 4],
      [2, 9],
    ]);
  });

  it('refuses an answer that cannot be one, and takes the next', async () => {
    const { accepted, said, host, work } = step([
      { kind: 'answer', batch: 5, index: 0, json: '"lots"' },
      { kind: 'answer', batch: 5, index: 1, json: '4' },
      { kind: 'compute', batch: 5, index: 0 },
      { kind: 'compute', batch: 5, index: 2 },
    ]);
    await spreadSubtasks(SUBTASKS, work, host);
    expect(accepted.map(([index]) => index)).toEqual([1, 0, 2]);
    expect(kinds(said)).toContain('refused 0');
  });

  it('says that nothing is wanted any more when it has to stop', async () => {
    const { said, host, work } = step([{ kind: 'stop' }]);
    const stopped = new Error('stopped');
    const throwIfAborted = () => {
      throw stopped;
    };
    await expect(spreadSubtasks(SUBTASKS, work, { ...host, throwIfAborted })).rejects.toBe(stopped);
    expect(kinds(said)).toEqual(['spread', 'withdrawn']);
  });

  it('throws MalformedAnswerError when its own answer is not accepted', async () => {
    const { host, work } = step();
    await expect(spreadSubtasks([{ content: {} }], { ...work, accept: () => false }, host)).rejects.toThrow(
      MalformedAnswerError,
    );
  });
});
