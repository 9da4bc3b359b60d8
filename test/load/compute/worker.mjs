import { createInterface } from 'node:readline';

/** A worker that says hello in one line of JSON, and answers each number of steps with another. */
export function talkTo(child) {
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error('a worker of the benchmark ended early; its messages are above');
    return JSON.parse(value);
  };
  const hello = next();
  return {
    hello,
    ask: async (steps) => {
      child.stdin.write(`${steps}\n`);
      return next();
    },
    stop: () => {
      child.stdin.end();
      if (child.connected) child.disconnect();
    },
  };
}
