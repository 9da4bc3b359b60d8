/** One line of the table. */
export function lineOf({ name, shape, value, unit, reference, ratio, target, met }) {
  const beside = reference === null ? '' : `${format(ratio)} x ${reference}`;
  const verdict = target === null ? '' : met ? `(target ${target}: met)` : `(target ${target}: NOT met)`;
  const text = `${name.padEnd(38)} ${shape.padEnd(32)} ${format(value).padStart(9)} ${unit.padEnd(10)} ${beside}  ${verdict}`;
  return text.trimEnd();
}

/** What `--json` writes. */
export function documentOf(machine, figures) {
  return `${JSON.stringify({ machine, figures }, null, 1)}\n`;
}

/** The figures as rows of a Markdown table. */
export function tableOf(figures) {
  const rows = figures.map(({ name, shape, value, unit, target, met, bound }) => {
    const verdict = target === null ? '–' : `${target}: ${met ? 'met' : 'not met'}`;
    return `| ${name} | ${shape} | ${format(value)} ${unit} | ${verdict} | ${bound} |`;
  });
  return [
    '| what | how | figure | target | bounded by |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function format(value) {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}
