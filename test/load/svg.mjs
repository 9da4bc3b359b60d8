/** Characters that end text in SVG, as references. */
export function xml(text) {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Coordinates to a tenth of a pixel. */
const round = (value) => Number(value.toFixed(1));

/** Values from `low` to `high` onto pixels `from` to `to`. */
export function linearAxis(low, high, from, to) {
  return { low, high, at: (value) => round(from + ((to - from) * (value - low)) / (high - low)) };
}

/** The same with equal distances for equal factors. */
export function logAxis(low, high, from, to) {
  const scale = (to - from) / Math.log(high / low);
  return { low, high, at: (value) => round(from + scale * Math.log(Math.max(value, low) / low)) };
}

/** Lines with labels below, for values of the horizontal axis. */
export function verticalLines(x, values, top, bottom, labelOf = String) {
  return values
    .map((value) => [x.at(value), xml(labelOf(value))])
    .map(
      ([at, label]) =>
        `<line x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/><text stroke="none" x="${at}" y="${bottom + 16}" text-anchor="middle">${label}</text>`,
    )
    .join('');
}

/** Lines with labels at their left, for values of the vertical axis. */
export function horizontalLines(y, values, left, right, labelOf = String) {
  return values
    .map((value) => [y.at(value), xml(labelOf(value))])
    .map(
      ([at, label]) =>
        `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}"/><text stroke="none" x="${left - 6}" y="${round(at + 4)}" text-anchor="end">${label}</text>`,
    )
    .join('');
}

/** A curve through points of a plot. */
export function curve(points, colour, title) {
  const path = points.map(([x, y]) => `${x},${y}`).join(' ');
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"><title>${xml(title)}</title></polyline>`;
}

/** A figure of its own: white ground, title at `left`, then what is drawn. */
export function figure({ width, height, title, left }, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<title>${xml(title)}</title>
<rect width="100%" height="100%" fill="white"/>
<text x="${left}" y="20" font-size="14">${xml(title)}</text>
${parts.join('\n')}
</svg>
`;
}
