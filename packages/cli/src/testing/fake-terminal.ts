import type { Terminal } from '../output/terminal.js';

/** A terminal that keeps what is written; as a TTY it also knows what a person would see on it. */
export class FakeTerminal implements Terminal {
  text = '';
  readonly isTTY: boolean;
  columns: number;
  rows: number;
  private readonly listeners = new Set<() => void>();

  constructor({ isTTY = false, columns = 100, rows = 30 } = {}) {
    this.isTTY = isTTY;
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    this.text += text;
  }

  onResize(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Changes the size as a window manager does. */
  resize(columns: number): void {
    this.columns = columns;
    for (const listener of this.listeners) listener();
  }

  /** Lines on the screen after line feeds, carriage returns, "cursor up" and "clear to the end" were obeyed. */
  screen(): string[] {
    const lines: string[] = [''];
    let row = 0;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with a control character
    for (const token of this.text.match(/\u001b\[[0-9;?]*[A-Za-z]|\r|\n|[^\u001b\r\n]+/g) ?? []) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: see above
      const sequence = /^\u001b\[([0-9?]*)([A-Za-z])$/.exec(token);
      if (token === '\n') row++;
      else if (sequence?.[2] === 'A') row = Math.max(0, row - Number(sequence[1] || 1));
      else if (sequence?.[2] === 'J') lines.splice(row);
      else if (!sequence && token !== '\r') lines[row] = (lines[row] ?? '') + token;
      lines[row] ??= '';
    }
    return lines;
  }
}
