const startedAt = Date.now();

/** One line about what is going on, with the time since the start. */
export function say(text) {
  const seconds = ((Date.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`[${seconds.padStart(6)} s] ${text}\n`);
}

/** Ends with a message that says what to do. */
export function fail(text, code = 1) {
  process.stderr.write(`${text}\n`);
  process.exit(code);
}
