// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
const ANSI_PART = /(\u001b\[[0-9;?]*[A-Za-z])/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
const ZERO_WIDTH = /\p{M}|\u200b|\u200d|\ufe0f/u;
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns that a text takes on a terminal; colours take none, East Asian wide characters two. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text.replace(ANSI, '')) width += charWidth(char);
  return width;
}

/** A text cut to at most `columns`, with "…" where something was cut; colours stay balanced. */
export function truncate(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let width = 0;
  let result = '';
  for (const part of text.split(ANSI_PART)) {
    if (part.startsWith('\u001b[')) {
      result += part;
      continue;
    }
    for (const char of part) {
      if (width + charWidth(char) > columns - 1) {
        if (width >= 0 && width < columns) result += '…';
        width = columns;
        break;
      }
      result += char;
      width += charWidth(char);
    }
  }
  return result;
}

/** A text filled up with spaces to `columns`. */
export function pad(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, columns - widthOf(text)));
  return align === 'left' ? text + spaces : spaces + text;
}

/** A text from elsewhere, safe to print: no control characters that could steer a terminal. */
export function printable(text: string): string {
  return text.replace(ANSI, '').replace(CONTROL, '');
}

function charWidth(char: string): number {
  if (ZERO_WIDTH.test(char)) return 0;
  return WIDE.test(char) ? 2 : 1;
}
