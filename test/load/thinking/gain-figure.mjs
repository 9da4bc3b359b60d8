/** Gains with their intervals as an SVG: one row per run, zero as a line. Deterministic. */
export function gainFigure(runs, title) {
  const [left, width, row, top] = [150, 420, 24, 44];
  const low = Math.min(0, ...runs.map(({ gainLow }) => gainLow));
  const high = Math.max(0, ...runs.map(({ gainHigh }) => gainHigh));
  const pad = 0.05 * (high - low || 1);
  const x = (value) => left + (width * (value - low + pad)) / (high - low + 2 * pad);
  const px = (value) => x(value).toFixed(1);
  const height = top + row * runs.length + 40;
  const lines = runs.map(({ name, gain, gainLow, gainHigh }, i) => {
    const y = top + row * i + row / 2;
    return [
      `<text x="${left - 10}" y="${y + 4}" text-anchor="end">${name}</text>`,
      `<line x1="${px(gainLow)}" x2="${px(gainHigh)}" y1="${y}" y2="${y}" stroke="#3465a4" stroke-width="3"/>`,
      `<circle cx="${px(gain)}" cy="${y}" r="4" fill="#204a87"/>`,
    ].join('');
  });
  const ticks = [low, 0, high].filter((value, i, all) => all.indexOf(value) === i);
  const axis = ticks.map(
    (value) =>
      `<text x="${px(value)}" y="${height - 22}" text-anchor="middle">${value === 0 ? 0 : value.toFixed(3)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="${height}" viewBox="0 0 640 ${height}" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/><text x="16" y="22" font-size="14">${title}</text>
<line x1="${px(0)}" x2="${px(0)}" y1="${top - 8}" y2="${height - 36}" stroke="#888" stroke-dasharray="4 3"/>
${lines.join('\n')}
${axis.join('')}
<text x="${left + width / 2}" y="${height - 6}" text-anchor="middle">gain over pauses, nats/token, with its 95 % bootstrap interval</text>
</svg>
`;
}
