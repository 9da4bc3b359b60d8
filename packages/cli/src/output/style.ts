/** Wraps text in terminal colours, or leaves it alone. */
export interface Style {
  readonly enabled: boolean;
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
  magenta(text: string): string;
}

const CODES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
  magenta: [35, 39],
} as const;

/** A style that colours when `enabled`. */
export function createStyle(enabled: boolean): Style {
  const paint = (name: keyof typeof CODES) => (text: string) =>
    enabled ? `\u001b[${CODES[name][0]}m${text}\u001b[${CODES[name][1]}m` : text;
  return {
    enabled,
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
    magenta: paint('magenta'),
  };
}

/** What decides whether colours are used. */
export interface ColorChoice {
  readonly isTTY: boolean;
  readonly noColorFlag: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Colours are for terminals, unless `--no-color`, NO_COLOR or TERM=dumb; FORCE_COLOR asks for them anyway. */
export function wantsColor({ isTTY, noColorFlag, env }: ColorChoice): boolean {
  if (noColorFlag || (env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  return isTTY && env['TERM'] !== 'dumb';
}
