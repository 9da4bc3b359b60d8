import { type Command, Option } from 'commander';
import { MAX_STEP_PAGE, type StepQuery } from '../api/list-steps.js';
import type { Io } from '../session.js';
import { action, collect, wholeNumber } from './action.js';
import * as runs from './run.actions.js';
import { type ExplainOptions, explainRun } from './run-explain.actions.js';
import { listSteps } from './run-steps.actions.js';

/** Orders of runs, as the API has them. */
const ORDERS = ['create_time desc', 'create_time', 'end_time desc', 'end_time'];

/** `forge run …` */
export function addRunCommands(program: Command, io: Io): void {
  const run = program.command('run').description('Create, watch and steer runs');

  run
    .command('create')
    .description('Create a run from a specification')
    .requiredOption('-f, --file <file>', 'specification in YAML; "-" reads standard input')
    .option(
      '--set <key=value>',
      'change a field, for example steps.founders.config.steps=200 (repeatable)',
      collect,
    )
    .option('--name <name>', 'name for people, instead of the one in the file')
    .option('--run-id <id>', 'identifier, instead of a generated one')
    .option('--wait', 'wait until the run ends; exit code 1 when it does not complete')
    .option('--watch', 'show the run until it ends; implies --wait')
    .addHelpText(
      'after',
      `
Examples:
  $ forge run create -f spec.yaml --watch
  $ forge run create -f spec.yaml --set seed=3 --set steps.founders.config.preset=nano --wait -o name
  $ forge spec init - | forge run create -f - --set steps.founders.inputs.corpus.file=book.txt`,
    )
    .action(action<runs.CreateOptions>(io, runs.createRun));

  run
    .command('list')
    .alias('ls')
    .description('List runs, newest first')
    .option('--state <state>', 'only runs in this state, for example FAILED')
    .option('--outcome <outcome>', 'only runs that ended so: COMPLETED, FAILED, CANCELLED; NONE: that go on')
    .option(
      '--since <time>',
      'only runs created at this time or later: 2026-11-01T00:00:00Z, or 2h: hours ago',
    )
    .option('--until <time>', 'only runs created before this time')
    .option('--ended-since <time>', 'only runs that ended at this time or later')
    .option('--ended-until <time>', 'only runs that ended before this time')
    .option('--phase <phase>', 'only runs with a step of this phase')
    .option('--label <key=value>', 'only runs with this label (repeatable)', collect)
    .option('--filter <filter>', 'a filter as the API takes it')
    .addOption(new Option('--order-by <order>', 'order, instead of newest first').choices(ORDERS))
    .option('--all-projects', 'of every project')
    .option('--limit <count>', 'at most this many', wholeNumber(1, 100_000), 50)
    .addHelpText(
      'after',
      `
Examples:
  $ forge run list --state RUNNING
  $ forge run list --label team=search -o name
  $ forge run list --outcome failed --ended-since 1d --order-by "end_time desc"`,
    )
    .action(action<runs.ListOptions>(io, runs.listRuns));

  run
    .command('get <run>')
    .description('Show a run: phases, durations, metrics, curves, artifacts')
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge run get demo\n  $ forge run get projects/search/runs/r1 -o json',
    )
    .action(action<object>(io, runs.getRun));

  run
    .command('steps <run>')
    .description('List the steps of a run, however many, with their attempts and times')
    .option('--state <state>', 'only steps in this state, for example FAILED')
    .option('--phase <phase>', 'only steps of this phase')
    .option('--filter <filter>', 'a filter as the API takes it')
    .option(
      '--page-size <count>',
      'how many are asked for at a time; all are listed',
      wholeNumber(1, MAX_STEP_PAGE),
      MAX_STEP_PAGE,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge run steps demo\n  $ forge run steps demo --state FAILED -o name',
    )
    .action(action<StepQuery>(io, listSteps));

  run
    .command('explain <run> [step]')
    .description('Say why steps do not run yet: what each waits for, and what would end it')
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge run explain demo\n  $ forge run explain demo evolve -o json\n  $ forge run explain demo evolve --cache',
    )
    .option(
      '--cache',
      'say of one step whether it takes an earlier result, and if not, what differs from the nearest',
    )
    .action(action<ExplainOptions>(io, explainRun));

  run
    .command('watch <run>')
    .description('Show a run until it ends; exit code 1 when it does not complete')
    .addHelpText('after', '\nOn a terminal it draws; piped, it prints one line per event.')
    .action(action<object>(io, runs.watchRun));

  run
    .command('logs <run>')
    .description('Print the events and log lines of a run')
    .option('-f, --follow', 'go on until the run ends')
    .option('--step <step>', 'only this step')
    .action(action<runs.LogsOptions>(io, runs.runLogs));

  run
    .command('pause <run>')
    .description('Let no new step start; running steps store a checkpoint and stop')
    .action(action<object>(io, runs.pauseRun));

  run
    .command('resume <run>')
    .description('Let a paused run go on')
    .action(action<object>(io, runs.resumeRun));

  run
    .command('cancel <run>')
    .description('Stop a run for good')
    .option('--reason <text>', 'why, for the record', '')
    .option('--wait', 'wait until everything has stopped')
    .action(action<runs.CancelOptions>(io, runs.cancelRun));

  run
    .command('retry <run>')
    .description('Run a finished run again from some steps on; the rest is kept')
    .option('--step <step>', 'a step to do again (repeatable); default: all that did not complete', collect)
    .option('--set <step.key=value>', 'change the configuration of a step (repeatable)', collect)
    .addOption(new Option('--watch', 'show the run until it ends'))
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge run retry demo --step evolve --set evolve.generations=20 --watch',
    )
    .action(action<runs.RetryOptions>(io, runs.retryRun));
}
