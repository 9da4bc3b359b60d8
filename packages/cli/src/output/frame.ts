import type { Terminal } from './terminal.js';
import { truncate, widthOf } from './width.js';

/** Shortest time between two drawings. */
const MIN_INTERVAL_MS = 100;

/**
 * A block of lines at the end of a terminal that is drawn again and again in place. Safe when the terminal is resized
 * (lines that the terminal wrapped are counted), and at most ten drawings a second.
 */
export class Frame {
  private drawn: readonly string[] = [];
  private lastDrawMs = 0;
  private timer: NodeJS.Timeout | undefined;
  private readonly stopResize: () => void;
  private closed = false;

  constructor(
    private readonly terminal: Terminal,
    private readonly content: () => readonly string[],
  ) {
    terminal.write('\u001b[?25l');
    this.stopResize = terminal.onResize(() => this.update());
  }

  /** Draws soon. */
  update(): void {
    if (this.closed || this.timer) return;
    const wait = this.lastDrawMs + MIN_INTERVAL_MS - Date.now();
    if (wait <= 0) this.draw();
    else this.timer = setTimeout(() => this.draw(), wait);
  }

  /** Prints a line that stays, above the block. */
  print(line: string): void {
    if (this.closed) {
      this.terminal.write(`${line}\n`);
      return;
    }
    this.terminal.write(`${this.erase()}${line}\n`);
    this.drawn = [];
    this.draw();
  }

  /** Ends drawing; the last state stays, or the block is removed. */
  close(keep: boolean): void {
    if (this.closed) return;
    this.draw();
    this.closed = true;
    clearTimeout(this.timer);
    this.stopResize();
    this.terminal.write(`${keep ? '' : this.erase()}\u001b[?25h`);
  }

  private draw(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.closed) return;
    const width = Math.max(20, this.terminal.columns - 1);
    const height = Math.max(3, this.terminal.rows - 1);
    const lines = this.content()
      .slice(0, height)
      .map((line) => truncate(line, width));
    this.terminal.write(`${this.erase()}${lines.map((line) => `${line}\n`).join('')}`);
    this.drawn = lines;
    this.lastDrawMs = Date.now();
  }

  /** Moves to the first character of the block and clears to the end of the screen. */
  private erase(): string {
    const columns = Math.max(1, this.terminal.columns);
    const rows = this.drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0);
    return rows === 0 ? '' : `\r\u001b[${Math.min(rows, this.terminal.rows)}A\u001b[0J`;
  }
}
