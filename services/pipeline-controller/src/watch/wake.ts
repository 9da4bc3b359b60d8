/** Lets one waiter sleep until something happened. What happens while nobody sleeps is not forgotten. */
export class Wake {
  #isRung = false;
  #resolve: (() => void) | undefined;

  ring(): void {
    this.#isRung = true;
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.();
  }

  /** Resolves at the first ring since the last time. */
  async next(): Promise<void> {
    if (!this.#isRung)
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    this.#isRung = false;
  }
}
