import { type Command, Option } from 'commander';
import type { Io } from '../session.js';
import { action, collect, wholeNumber } from './action.js';
import * as schedules from './schedule.actions.js';
import { MISSED_WORDS, OVERLAP_WORDS } from './schedule.words.js';

/** `forge schedule …` */
export function addScheduleCommands(program: Command, io: Io): void {
  const schedule = program.command('schedule').description('Create runs at times of a calendar');

  calendarOptions(
    schedule
      .command('create <name>')
      .description('Create a schedule from a specification')
      .requiredOption('-f, --file <file>', 'specification of its runs in YAML; "-" reads standard input')
      .requiredOption('--cron <cron>', CRON_HELP),
  )
    .option('--paused', 'create no runs until it is resumed')
    .addHelpText(
      'after',
      `
Files that the specification names are uploaded once, now; every run takes them as they are.

Examples:
  $ forge schedule create -f run.yaml --cron "0 3 * * *" --time-zone Europe/Berlin nightly
  $ forge schedule create -f run.yaml --cron @hourly --overlap queue --missed skip --set seed=3 hourly`,
    )
    .action(action<schedules.CreateOptions>(io, schedules.createSchedule));

  schedule
    .command('list')
    .alias('ls')
    .description('List schedules, by name')
    .option('--paused', 'only those that are paused')
    .option('--filter <filter>', 'a filter as the API takes it')
    .option('--all-projects', 'of every project')
    .option('--limit <count>', 'at most this many', wholeNumber(1, 100_000), 50)
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge schedule list\n  $ forge schedule list --all-projects --paused -o name',
    )
    .action(action<schedules.ListOptions>(io, schedules.listSchedules));

  schedule
    .command('get <schedule>')
    .description('Show a schedule: when it runs next, and its last runs')
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge schedule get nightly\n  $ forge schedule get projects/search/schedules/nightly -o json',
    )
    .action(action<object>(io, schedules.getSchedule));

  calendarOptions(
    schedule
      .command('update <schedule>')
      .description('Change a schedule; what is not named stays, and so do runs that it created')
      .option('-f, --file <file>', 'specification of further runs; "-" reads standard input')
      .option('--cron <cron>', CRON_HELP),
  )
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge schedule update nightly --cron "30 4 * * MON-FRI"\n  $ forge schedule update nightly -f run.yaml',
    )
    .action(action<schedules.ChangeOptions>(io, schedules.updateSchedule));

  schedule
    .command('pause <schedule>')
    .description('Create no runs until it is resumed')
    .action(action<object>(io, schedules.pauseSchedule));

  schedule
    .command('resume <schedule>')
    .description('Let a paused schedule go on; the times in between count as missed')
    .action(action<object>(io, schedules.resumeSchedule));

  schedule
    .command('delete <schedule>')
    .description('Remove a schedule; runs that it created go on')
    .action(action<object>(io, schedules.deleteSchedule));

  schedule
    .command('trigger <schedule>')
    .description('Create a run of a schedule now, paused or not')
    .option('--wait', 'wait until the run ends; exit code 1 when it does not complete')
    .option('--watch', 'show the run until it ends; implies --wait')
    .addHelpText('after', '\nExamples:\n  $ forge schedule trigger nightly --watch')
    .action(action<schedules.TriggerOptions>(io, schedules.triggerSchedule));
}

const CRON_HELP =
  'when: "minute hour day-of-month month day-of-week", or @hourly, @daily, @weekly, @monthly, @yearly';

/** Options that `create` and `update` have in common. */
function calendarOptions(command: Command): Command {
  return command
    .option('--time-zone <zone>', 'time zone of the IANA database, for example Europe/Berlin (default: UTC)')
    .addOption(
      new Option(
        '--missed <policy>',
        'times that nobody could serve: left out, one run for the newest, a run for each (default: one)',
      ).choices(MISSED_WORDS),
    )
    .addOption(
      new Option(
        '--overlap <policy>',
        'when the run before goes on: leave the time out, run both, wait, cancel the one before (default: skip)',
      ).choices(OVERLAP_WORDS),
    )
    .option(
      '--start-deadline <duration>',
      'a time missed by more is left out whatever the policy, at most 7d (default: 1h)',
    )
    .option('--name <name>', 'name for people')
    .option('--set <key=value>', 'change a field of the specification (repeatable)', collect);
}
