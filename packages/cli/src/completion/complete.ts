import type { Argument, Command, Option } from 'commander';

/** Arguments whose values are names that somebody knows. */
const KINDS = ['run', 'schedule', 'phase', 'digest', 'profile'] as const;

/** What a completion may ask a server for. */
export type DynamicNames = (kind: (typeof KINDS)[number]) => Promise<readonly string[]>;

/**
 * What can come next on a command line: commands, options, values of options with choices, and names.
 * @param words  the words after "forge"; the last one is being typed and may be empty
 * @returns      candidates that begin with it, sorted; an empty list lets the shell offer files
 */
export async function complete(
  program: Command,
  words: readonly string[],
  names: DynamicNames,
): Promise<string[]> {
  const typed = words[words.length - 1] ?? '';
  const { command, positionals, pending } = walk(program, words.slice(0, -1));
  if (pending) return matching(pending.argChoices ?? [], typed);
  if (typed.startsWith('-')) return matching(optionsOf(command), typed);
  const children = command.commands.map((child) => child.name()).filter((name) => !name.startsWith('_'));
  if (children.length > 0) return matching(children, typed);
  const argument = command.registeredArguments[positionals];
  return matching(argument ? await valuesOf(argument, names) : [], typed);
}

/** The command that words lead to, how many of its arguments are given, and an option that waits for its value. */
function walk(program: Command, words: readonly string[]) {
  let command = program;
  let positionals = 0;
  let pending: Option | undefined;
  for (const word of words) {
    if (pending) {
      pending = undefined;
    } else if (word.startsWith('-')) {
      const option = allOptions(command).find(({ short, long }) => word === short || word === long);
      if (option && (option.required || option.optional)) pending = option;
    } else {
      const child = command.commands.find((entry) => entry.name() === word || entry.aliases().includes(word));
      if (child) command = child;
      else positionals++;
    }
  }
  return { command, positionals, pending };
}

function allOptions(command: Command): Option[] {
  return [...command.options, ...(command.parent ? allOptions(command.parent) : [])];
}

function optionsOf(command: Command): string[] {
  return ['--help', ...allOptions(command).flatMap(({ long, hidden }) => (long && !hidden ? [long] : []))];
}

async function valuesOf(argument: Argument, names: DynamicNames): Promise<readonly string[]> {
  if (argument.argChoices) return argument.argChoices;
  const kind = KINDS.find((name) => name === argument.name());
  return kind ? names(kind) : [];
}

function matching(candidates: readonly string[], typed: string): string[] {
  return [...new Set(candidates)].filter((candidate) => candidate.startsWith(typed)).sort();
}
