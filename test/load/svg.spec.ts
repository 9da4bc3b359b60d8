import { curve, figure, horizontalLines, linearAxis, logAxis, verticalLines, xml } from './svg.mjs';

describe('figures', () => {
  it('place values: equal distances for equal differences, or for equal factors', () => {
    const linear = linearAxis(-1, 3, 0, 400);
    expect([-1, 0, 1, 3].map(linear.at)).toEqual([0, 100, 200, 400]);
    const upwards = linearAxis(0, 1, 300, 100);
    expect([0, 0.25, 1].map(upwards.at)).toEqual([300, 250, 100]);
    const log = logAxis(1, 1000, 0, 300);
    expect([1, 10, 100, 1000].map(log.at)).toEqual([0, 100, 200, 300]);
    // What is below the axis lies on its end.
    expect(log.at(0)).toBe(0);
  });

  it('label lines with the values that they stand for', () => {
    const axis = linearAxis(0, 10, 100, 200);
    const vertical = verticalLines(axis, [0, 5], 20, 80, (value) => `<${value}>`);
    expect(vertical).toContain('<line x1="150" x2="150" y1="20" y2="80"/>');
    expect(vertical).toContain('>&#60;5&#62;</text>');
    const horizontal = horizontalLines(axis, [10], 30, 90);
    expect(horizontal).toContain('<line x1="30" x2="90" y1="200" y2="200"/>');
    expect(horizontal).toContain('y="204" text-anchor="end">10</text>');
  });

  it('escape what they are told', () => {
    expect(xml('a < b & "c"')).toBe('a &#60; b &#38; &#34;c&#34;');
    const line = curve(
      [
        [1, 2],
        [3, 4],
      ],
      '#26c',
      'a & b',
    );
    expect(line).toContain('points="1,2 3,4"');
    expect(line).toContain('<title>a &#38; b</title>');
    const drawn = figure({ width: 10, height: 20, title: 'x < y', left: 5 }, [line]);
    expect(drawn).toContain('viewBox="0 0 10 20"');
    expect(drawn).toContain('<title>x &#60; y</title>');
    expect(drawn.trimEnd().endsWith('</svg>')).toBe(true);
  });
});
