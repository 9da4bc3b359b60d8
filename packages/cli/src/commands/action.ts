import { type Command, InvalidArgumentError } from 'commander';
import { type GlobalOptions, type Io, Session } from '../session.js';
import { parseBytes } from '../spec/bytes.js';

/** The handler of a command: what was typed, and a session that is closed afterwards. */
export type Handler<Options> = (session: Session, options: Options, ...args: string[]) => Promise<void>;

/** A handler as commander calls it. */
export function action<Options>(io: Io, handler: Handler<Options>) {
  return async (...params: unknown[]): Promise<void> => {
    const command = params.pop() as Command;
    const options = params.pop() as Options;
    const session = new Session(io, command.optsWithGlobals<GlobalOptions>());
    try {
      // An argument that may be repeated comes as a list.
      await handler(session, options, ...(params.flat() as string[]));
    } finally {
      session.close();
    }
  };
}

/** Option parser: a whole number within bounds. */
export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(value) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** Option parser: a number within bounds. */
export function decimal(min: number, max: number) {
  return (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value) || value < min || value > max) {
      throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
    }
    return value;
  };
}

/** Option parser: a number of bytes from 1 on, with or without a unit. */
export function bytes(text: string): number {
  const value = Number(parseBytes(text) ?? 0);
  if (value < 1) throw new InvalidArgumentError('Expected bytes, as 5GB, 512MiB or a whole number.');
  return value;
}

/** Option parser: collects every use of an option. */
export function collect(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}
