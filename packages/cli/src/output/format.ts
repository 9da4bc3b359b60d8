import { stringify } from 'yaml';
import type { Style } from './style.js';
import { type Column, renderTable } from './table.js';

/** Shapes of output. */
export const OUTPUT_FORMATS = ['table', 'json', 'yaml', 'name'] as const;

/** A shape of output. */
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** One thing or a list of things, in every shape a person or a script may ask for. */
export interface Rendering {
  /** For `json` and `yaml`. */
  readonly value: unknown;
  /** For `name`: one line each. */
  readonly names: readonly string[];
  /** For `table`. */
  readonly table: (style: Style) => string;
}

/** A list as a rendering. */
export function listing<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  options: { value: unknown; name: (row: Row) => string; empty: string },
): Rendering {
  return {
    value: options.value,
    names: rows.map(options.name),
    table: (style) => (rows.length === 0 ? style.dim(options.empty) : renderTable(rows, columns, style)),
  };
}

/** The text of a rendering in one format, ending in a line feed (or empty). */
export function render(rendering: Rendering, format: OutputFormat, style: Style): string {
  const text = renderBody(rendering, format, style);
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function renderBody(rendering: Rendering, format: OutputFormat, style: Style): string {
  switch (format) {
    case 'json':
      return JSON.stringify(rendering.value, null, 2);
    case 'yaml':
      return stringify(rendering.value, { lineWidth: 110 });
    case 'name':
      return rendering.names.join('\n');
    case 'table':
      return rendering.table(style);
  }
}
