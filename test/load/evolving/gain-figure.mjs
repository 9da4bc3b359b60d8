/** Losses of the evolved merge against its rivals as an SVG: one row per rival, a dot per seed. Deterministic. */
export function gainFigure(rows, title) {
  const [left, width, row, top] = [150, 420, 34, 44];
  const all = rows.flatMap(({ gains, low, high }) => [...gains, low, high]);
  const [least, most] = [Math.min(0, ...all), Math.max(0, ...all)];
  const pad = 0.05 * (most - least || 1);
  const px = (value) => (left + (width * (value - least + pad)) / (most - least + 2 * pad)).toFixed(1);
  const height = top + row * rows.length + 40;
  const lines = rows.map(({ name, gains, mean, low, high }, i) => {
    const y = top + row * i + row / 2;
    return [
      `<text x="${left - 10}" y="${y + 4}" text-anchor="end">${name}</text>`,
      `<line x1="${px(low)}" x2="${px(high)}" y1="${y}" y2="${y}" stroke="#3465a4" stroke-width="3"/>`,
      `<line x1="${px(mean)}" x2="${px(mean)}" y1="${y - 7}" y2="${y + 7}" stroke="#204a87" stroke-width="3"/>`,
      ...gains.map((gain) => `<circle cx="${px(gain)}" cy="${y}" r="3.5" fill="none" stroke="#cc0000"/>`),
    ].join('');
  });
  const ticks = [least, 0, most].filter((value, i, ends) => ends.indexOf(value) === i);
  const axis = ticks.map(
    (value) =>
      `<text x="${px(value)}" y="${height - 22}" text-anchor="middle">${value === 0 ? 0 : value.toFixed(4)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="${height}" viewBox="0 0 640 ${height}" font-family="sans-serif" font-size="12">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/><text x="16" y="22" font-size="14">${title}</text>
<line x1="${px(0)}" x2="${px(0)}" y1="${top - 8}" y2="${height - 36}" stroke="#888" stroke-dasharray="4 3"/>
${lines.join('\n')}
${axis.join('')}
<text x="${left + width / 2}" y="${height - 6}" text-anchor="middle">its bits per byte less those of the evolved merge, report split: mean, 95 % interval, seeds</text>
</svg>
`;
}
