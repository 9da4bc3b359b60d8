import type { Command } from 'commander';
import type { Io } from '../session.js';
import { action, wholeNumber } from './action.js';
import * as letters from './dlq.actions.js';

/** `forge dlq …` and `forge breaker …` */
export function addDeadLetterCommands(program: Command, io: Io): void {
  const dlq = program
    .command('dlq')
    .description('Look at messages that nobody could process, and send them again');

  dlq
    .command('list')
    .alias('ls')
    .description('List dead letters, newest first')
    .option('--origin <origin>', 'only from here: tasks, reports, runs')
    .option('--phase <phase>', 'only of this phase')
    .option('--reason <reason>', 'only for this reason, for example POISON_TASK')
    .option('--run <run>', 'only about this run')
    .option('--filter <filter>', 'a filter as the API takes it')
    .option('--limit <count>', 'at most this many', wholeNumber(1, 100_000), 50)
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge dlq list --reason POISON_TASK\n  $ forge dlq redrive $(forge dlq list --phase cognate -o name)',
    )
    .action(action<letters.ListOptions>(io, letters.listLetters));

  dlq
    .command('show <sequence>')
    .description('Show a dead letter: why, what it is about, its bytes')
    .action(action<object>(io, letters.showLetter));

  dlq
    .command('redrive <sequence...>')
    .description(
      'Send letters again; of a step that failed, all that failed in its run is tried again instead',
    )
    .addHelpText(
      'after',
      '\nStops at the first one that cannot be sent; those before it are.\n\nExamples:\n  $ forge dlq redrive 17',
    )
    .action(action<object>(io, letters.redriveLetters));

  dlq
    .command('delete <sequence...>')
    .description('Remove letters for good')
    .action(action<object>(io, letters.deleteLetters));

  program
    .command('breaker')
    .description('Look at the circuit breakers of phases')
    .command('list')
    .alias('ls')
    .description('List the phases that failed, and which are cut off')
    .action(action<object>(io, letters.listBreakers));
}
