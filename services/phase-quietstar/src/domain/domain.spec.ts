import { byteTokenizer, type ScoredRow, type ThinkingPoint, taskText, trainBpe } from '@agentforge/model';
import { Philox } from '@agentforge/tensor';
import { curvesOf, isKept } from './curves.js';
import { checkQuietstarConfig, quietstarConfig, thoughtLengthAt } from './quietstar-config.js';
import { taskRows, textRows } from './scored-rows.js';
import { bootstrapMean, correlation } from './statistics.js';
import { accuracyOf, judge, measureTests } from './verdict.js';

describe('quietstarConfig', () => {
  it('names every rule between fields that is broken', () => {
    const config = quietstarConfig.parse({
      thought_length: 3,
      first_thought_length: 4,
      steps: 5,
      learning_rate: 1e-5,
      sequence_length: 4,
    });
    expect(checkQuietstarConfig(config).map(({ field }) => field)).toEqual([
      'first_thought_length',
      'warmup_steps',
      'min_learning_rate',
      'ahead',
    ]);
    expect(checkQuietstarConfig(quietstarConfig.parse({}))).toEqual([]);
  });
});

describe('thoughtLengthAt()', () => {
  const config = quietstarConfig.parse({ first_thought_length: 2, thought_length: 6, steps: 20 });

  it('grows evenly over the curriculum and stays', () => {
    expect([0, 2, 3, 5, 8, 9, 10, 19].map((step) => thoughtLengthAt(config, step))).toEqual([
      2, 2, 3, 4, 5, 5, 6, 6,
    ]);
  });

  it('is the last one from the first step without a curriculum', () => {
    expect(thoughtLengthAt({ ...config, curriculum: 0 }, 0)).toBe(6);
  });
});

describe('bootstrapMean()', () => {
  it('covers the true mean about as often as it says', () => {
    const rng = new Philox(3);
    let covered = 0;
    for (let trial = 0; trial < 100; trial++) {
      const rows = Array.from({ length: 20 }, () => ({ sum: 1 + rng.normal(), count: 1 }));
      const { low, high, mean } = bootstrapMean(rows, 100, 0.9, rng);
      expect(low).toBeLessThanOrEqual(mean);
      expect(high).toBeGreaterThanOrEqual(mean);
      if (low < 1 && high > 1) covered++;
    }
    // 90 % less the known shortfall of percentiles with 20 values, ± 3 standard errors of 100 trials.
    expect(covered / 100).toBeGreaterThan(0.77);
    expect(covered / 100).toBeLessThan(0.98);
  });

  it('resamples rows, whose values belong together', () => {
    const rng = new Philox(1);
    const width = (rows: { sum: number; count: number }[]) => {
      const { low, high } = bootstrapMean(rows, 1000, 0.95, rng);
      return high - low;
    };
    const values = Array.from({ length: 64 }, (_, i) => (i % 2 === 0 ? 1 : -1));
    const single = width(values.map((sum) => ({ sum, count: 1 })));
    const joined = width([1, -1, 1, -1].map((sign) => ({ sum: 16 * sign, count: 16 })));
    expect(joined / single).toBeGreaterThan(2);
  });
});

describe('correlation()', () => {
  it.each([
    [
      1,
      [
        [1, 2],
        [2, 4],
        [3, 6],
      ],
    ],
    [
      -1,
      [
        [1, 3],
        [2, 2],
        [3, 1],
      ],
    ],
    // Anscombe 1973, quartet I.
    [
      0.81642,
      [
        [10, 8.04],
        [8, 6.95],
        [13, 7.58],
        [9, 8.81],
        [11, 8.33],
        [14, 9.96],
        [6, 7.24],
        [4, 4.26],
        [12, 10.84],
        [7, 4.82],
        [5, 5.68],
      ],
    ],
  ] as [number, [number, number][]][])('is %d', (expected, pairs) => {
    expect(correlation(pairs)).toBeCloseTo(expected, 5);
  });

  it('is none where something never changes', () => {
    expect(
      correlation([
        [1, 2],
        [1, 3],
      ]),
    ).toBeNull();
    expect(correlation([])).toBeNull();
  });
});

const point = (row: number, talkNats: number, plainNats: number, coherence = Number.NaN): ThinkingPoint => ({
  row,
  talkNats,
  plainNats,
  isTalkRight: talkNats < 1,
  isPlainRight: plainNats < 1,
  coherence,
});

describe('measureTests()', () => {
  it('compares with the control, with thoughts removed, and coherence with utility', () => {
    const thoughts = [
      point(0, 0.5, 1.5, -1),
      point(0, 0.75, 0.75, -2),
      point(1, 0.5, 2.5, 0),
      point(1, 2, 3, -1),
    ];
    const pause = [point(0, 1, 9), point(0, 1, 9), point(1, 1.5, 9), point(1, 2.5, 9)];
    const options = { resamples: 500, confidence: 0.95, rng: new Philox(1) };
    const tests = measureTests({ thoughts, pause, unit: 'token' }, options);
    expect(tests.gain.mean).toBeCloseTo((0.5 + 0.25 + 1 + 0.5) / 4);
    expect(tests.gain.low).toBeCloseTo(0.375);
    expect(tests.gain.high).toBeCloseTo(0.75);
    expect(tests.ablation).toBeCloseTo(3 / 4 - 1 / 4);
    expect(tests.coherenceCorrelation).toBeCloseTo(1);
    const rows = measureTests({ thoughts, pause, unit: 'row' }, options);
    expect(rows.ablation).toBeCloseTo(1 / 2);
    expect(accuracyOf(thoughts, 'row', ({ isTalkRight }) => isTalkRight)).toBe(0.5);
  });

  const good = { gain: { mean: 0.1, low: 0.05, high: 0.2 }, ablation: 0.01, coherenceCorrelation: 0.6 };
  it.each([
    ['improved', {}],
    ['no_gain', { gain: { mean: 0.1, low: 0, high: 0.2 } }],
    ['no_gain', { ablation: 0 }],
    ['no_gain', { coherenceCorrelation: 0.5 }],
    ['no_gain', { coherenceCorrelation: null }],
  ])('is judged as %s with %j', (outcome, changed) => {
    expect(judge({ ...good, ...changed }, 0.5)).toBe(outcome);
  });
});

describe('rows', () => {
  it('ask for every token of a text after the first, once', () => {
    const tokens = Int32Array.from({ length: 12 }, (_, i) => i);
    const rows = textRows({ tokens, bytesOfId: new Int32Array(12) }, 4, 11);
    expect(rows.map(({ inputs }) => [...inputs])).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 0, 0],
    ]);
    expect(rows.flatMap(({ targets }) => [...targets]).filter((id) => id !== -100)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
  });

  it('ask for the answers of tasks only, up to what ends them', () => {
    const tokenizer = byteTokenizer();
    const sum = taskText({
      type: 'generate',
      id: 'a',
      prompt: '1+2=',
      answer: ['3', '03'],
      stop: ['\n'],
      max_tokens: 4,
      match: 'exact',
    });
    const choice = taskText({ type: 'choice', id: 'b', prompt: 'x', choices: [' y', ' zz'], answer: 1 });
    expect([sum.answer, choice.answer]).toEqual(['3\n', ' zz']);
    const rows = taskRows([sum, choice], tokenizer);
    const asked = rows.map(({ inputs, targets }) => [
      tokenizer.decode(inputs),
      tokenizer.decode(targets.filter((id) => id !== -100)),
      targets.findIndex((id) => id !== -100),
    ]);
    expect(asked).toEqual([
      ['1+2=3', '3\n', 3],
      ['x z<|endoftext|><|endoftext|>', ' zz', 0],
    ]);
  });
});

describe('rows of a tokenizer with merges', () => {
  const tokenizer = trainBpe(['the cat sat on the mat and the dog sat on the log '.repeat(4)], {
    vocabSize: 290,
  });
  /** What is asked for, token by token, and what is given before it. */
  function asked(prompt: string, answer: string) {
    const [row] = taskRows([{ id: 'a', prompt, answer }], tokenizer);
    const { inputs, targets } = row as ScoredRow;
    const first = targets.findIndex((id) => id !== -100);
    const text = (ids: Int32Array) => [...ids].map((id) => tokenizer.decode([id]));
    return { given: text(inputs.slice(0, first + 1)), asked: text(targets.filter((id) => id !== -100)) };
  }

  it('ask for the whole word after a prompt that ends with a space', () => {
    expect(asked('the ', 'cat sat')).toEqual(asked('the', ' cat sat'));
    expect(asked('the ', 'cat sat').asked.join('')).toBe(' cat sat');
  });

  it('ask for the token that the end of a prompt lies in, and for none before it', () => {
    const { given, asked: tokens } = asked('the cat sa', 't on');
    expect([...given, ...tokens].join('')).toBe('the cat sat on');
    expect(tokens.join('')).toBe(' sat on');
  });

  it('ask for the first token too, behind the end of a text', () => {
    expect(asked('', 'the cat')).toMatchObject({ given: ['<|endoftext|>'] });
    expect(asked('', 'the cat').asked.join('')).toBe('the cat');
  });
});

describe('curves', () => {
  it('keep at most 400 steps, the first and the last among them', () => {
    const kept = Array.from({ length: 1001 }, (_, i) => i + 1).filter((step) => isKept(step, 1001));
    expect(kept.length).toBeLessThanOrEqual(402);
    expect([kept[0], kept.at(-1)]).toEqual([1, 1001]);
  });

  it('are told apart by series and subject', () => {
    const at = (series: string, subject: string, step: number) => ({
      series,
      subject,
      step,
      value: step / 2,
    });
    expect(curvesOf([at('loss', 'a', 1), at('loss', 'b', 1), at('loss', 'a', 2)])).toEqual([
      {
        series: 'loss',
        subject: 'a',
        points: [
          [1, 0.5],
          [2, 1],
        ],
      },
      { series: 'loss', subject: 'b', points: [[1, 0.5]] },
    ]);
  });
});
