/**
 * Turns token bytes into text pieces as they come. A character is given out when all its bytes are there, and text
 * that may be the start of a stop string is held back until it is clear that it is not.
 */
export class TextStream {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private readonly stop: readonly string[];
  private pending = '';
  private stopped = false;

  /** @param stop strings that end the text; they are not part of it. Empty ones are ignored. */
  constructor(stop: readonly string[] = []) {
    this.stop = stop.filter((text) => text.length > 0);
  }

  /** Whether a stop string has been seen. Nothing is given out any more. */
  get isStopped(): boolean {
    return this.stopped;
  }

  /** Adds bytes; returns the text that is now certain. */
  push(bytes: Uint8Array): string {
    return this.take(this.decoder.decode(bytes, { stream: true }), false);
  }

  /** Ends the text; returns what was held back. An incomplete character becomes U+FFFD. */
  end(): string {
    return this.take(this.decoder.decode(), true);
  }

  private take(text: string, isLast: boolean): string {
    if (this.stopped) return '';
    this.pending += text;
    const cut = this.stopAt();
    if (cut !== null) {
      this.stopped = true;
      return this.pending.slice(0, cut);
    }
    const held = isLast ? 0 : this.heldBack();
    const certain = this.pending.slice(0, this.pending.length - held);
    this.pending = this.pending.slice(certain.length);
    return certain;
  }

  /**
   * Where the text is cut: the start of the stop string that is complete first, of the longest one among several.
   * So the text does not depend on how it was divided into tokens.
   */
  private stopAt(): number | null {
    let cut: number | null = null;
    let firstEnd = Number.POSITIVE_INFINITY;
    for (const stop of this.stop) {
      const start = this.pending.indexOf(stop);
      const end = start + stop.length;
      if (start < 0 || end > firstEnd) continue;
      cut = end === firstEnd && cut !== null ? Math.min(cut, start) : start;
      firstEnd = end;
    }
    return cut;
  }

  /** Length of the longest end of the pending text that begins a stop string. */
  private heldBack(): number {
    let longest = 0;
    for (const stop of this.stop) {
      for (let n = Math.min(stop.length - 1, this.pending.length); n > longest; n--) {
        if (this.pending.endsWith(stop.slice(0, n))) longest = n;
      }
    }
    return longest;
  }
}
