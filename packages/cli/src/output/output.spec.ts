import { FakeTerminal } from '../testing/fake-terminal.js';
import { listing, render } from './format.js';
import { Frame } from './frame.js';
import { plotCurves, progressBar, sparkline } from './plot.js';
import { createStyle, wantsColor } from './style.js';
import { formatBytes, formatNumber, formatQuantity, formatSeconds } from './units.js';
import { pad, printable, truncate, widthOf } from './width.js';

const plain = createStyle(false);

describe('units', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [8_019_432, '7.65 MiB'],
    [24n * 2n ** 30n, '24.0 GiB'],
  ])('formatBytes(%p)', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0.0123, '12 ms'],
    [0.9999, '1.0 s'],
    [59.94, '59.9 s'],
    [59.96, '1m 00s'],
    [3_900, '1h 05m'],
    [Number.NaN, '–'],
  ])('formatSeconds(%p)', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

  it.each([
    [2.60417, '2.604'],
    [12_345, '12,345'],
    [0.00001, '1.00e-5'],
    [-0.5, '-0.5'],
    [3, '3'],
  ])('formatNumber(%p)', (value, text) => expect(formatNumber(value)).toBe(text));

  it('gives well-known units their usual shape', () => {
    expect(formatQuantity(2_048, 'By')).toBe('2.00 KiB');
    expect(formatQuantity(90, 's')).toBe('1m 30s');
    expect(formatQuantity(0.5, '1')).toBe('0.5');
    expect(formatQuantity(2.5, 'bit/byte')).toBe('2.5 bit/byte');
  });
});

describe('width', () => {
  it('counts columns, not characters', () => {
    expect(widthOf('\u001b[31mred\u001b[39m')).toBe(3);
    expect(widthOf('日本')).toBe(4);
    expect(widthOf('e\u0301')).toBe(1);
  });

  it('cuts without breaking colours', () => {
    expect(truncate('abcdef', 4)).toBe('abc…');
    expect(truncate('\u001b[31mabcdef\u001b[39m', 4)).toBe('\u001b[31mabc…\u001b[39m');
    expect(widthOf(truncate('日本語', 4))).toBeLessThanOrEqual(4);
    expect(pad('日', 4)).toBe('日  ');
  });

  it('takes control characters out of foreign text', () => {
    expect(printable('a\u001b[2Jb\u0007c\r')).toBe('abc');
  });
});

describe('plot', () => {
  it('draws a falling curve in braille with its range at the left', () => {
    const points = Array.from({ length: 40 }, (_, x) => ({ x, y: 6 * Math.exp(-x / 10) + 1 }));
    expect(plotCurves([{ points }], { columns: 36, rows: 5 })).toMatchSnapshot();
  });

  it('draws nothing of too little', () => {
    expect(plotCurves([{ points: [{ x: 0, y: 1 }] }], { columns: 40, rows: 5 })).toEqual([]);
    expect(plotCurves([], { columns: 40, rows: 5 })).toEqual([]);
    const two = [
      {
        points: [
          { x: 0, y: 1 },
          { x: 1, y: Number.NaN },
          { x: 2, y: 1 },
        ],
      },
    ];
    expect(plotCurves(two, { columns: 40, rows: 2 })).toHaveLength(2);
  });

  it('sparkline() keeps the ends and the extremes apart', () => {
    expect(sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8)).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([5, 5], 8)).toBe('▁▁');
    expect(
      sparkline(
        Array.from({ length: 100 }, (_, i) => -i),
        10,
      ),
    ).toHaveLength(10);
    expect(sparkline([], 8)).toBe('');
  });

  it.each([
    [0, ''],
    [0.26, '━━╸'],
    [1, '━'.repeat(10)],
    [7, '━'.repeat(10)],
    [Number.NaN, ''],
  ])('progressBar(%p)', (fraction, done) => {
    const bar = progressBar(fraction, 10);
    expect(bar.done).toBe(done);
    expect(bar.done.length + bar.rest.length).toBe(10);
  });
});

describe('render()', () => {
  const rows = [
    { name: 'a', size: 1 },
    { name: 'long name', size: 20 },
  ];
  const list = listing(
    rows,
    [
      { title: 'name', value: (row) => row.name },
      { title: 'size', align: 'right', value: (row) => String(row.size) },
    ],
    { value: rows, name: (row) => row.name, empty: 'nothing' },
  );

  it.each(['table', 'json', 'yaml', 'name'] as const)('as %s', (format) => {
    expect(render(list, format, plain)).toMatchSnapshot();
  });

  it('says that a table is empty, and prints no names', () => {
    const empty = listing([], [], { value: [], name: () => '', empty: 'nothing here' });
    expect(render(empty, 'table', plain)).toBe('nothing here\n');
    expect(render(empty, 'name', plain)).toBe('');
    expect(render(empty, 'json', plain)).toBe('[]\n');
  });
});

describe('wantsColor()', () => {
  it.each([
    [{ isTTY: true, noColorFlag: false, env: {} }, true],
    [{ isTTY: false, noColorFlag: false, env: {} }, false],
    [{ isTTY: true, noColorFlag: true, env: { FORCE_COLOR: '1' } }, false],
    [{ isTTY: true, noColorFlag: false, env: { NO_COLOR: '1' } }, false],
    [{ isTTY: true, noColorFlag: false, env: { NO_COLOR: '' } }, true],
    [{ isTTY: true, noColorFlag: false, env: { TERM: 'dumb' } }, false],
    [{ isTTY: false, noColorFlag: false, env: { FORCE_COLOR: '1' } }, true],
  ])('%j', (choice, wanted) => expect(wantsColor(choice)).toBe(wanted));
});

describe('Frame', () => {
  it('draws in place, keeps printed lines above, and shows the cursor again', () => {
    const terminal = new FakeTerminal({ isTTY: true });
    let lines = ['one', 'two'];
    const frame = new Frame(terminal, () => lines);
    frame.print('note');
    lines = ['three'];
    frame.close(true);
    expect(terminal.screen()).toEqual(['note', 'three', '']);
    expect(terminal.text.endsWith('\u001b[?25h')).toBe(true);
  });

  it('removes what a narrower terminal has wrapped', () => {
    const terminal = new FakeTerminal({ isTTY: true, columns: 61 });
    const frame = new Frame(terminal, () => ['x'.repeat(60)]);
    frame.print('a');
    terminal.columns = 30;
    frame.close(false);
    expect(terminal.text).toContain('\u001b[2A');
  });

  it('never draws more than fits', () => {
    const terminal = new FakeTerminal({ isTTY: true, columns: 40, rows: 5 });
    const frame = new Frame(terminal, () => Array.from({ length: 50 }, () => 'y'.repeat(100)));
    frame.close(true);
    const screen = terminal.screen();
    expect(screen.length).toBeLessThanOrEqual(5);
    expect(Math.max(...screen.map(widthOf))).toBeLessThan(40);
  });
});
