import { type Command, Option } from 'commander';
import type { DemoOptions } from '../demo/demo-plan.js';
import type { Io } from '../session.js';
import { action, collect } from './action.js';

/** `forge demo`, which is what `npm run demo` runs. */
export function addDemoCommand(program: Command, io: Io): void {
  program
    .command('demo')
    .description('Run Cognate, EvoMerge and Quiet-STaR on real text, on this machine, and write a report')
    .option(
      '--corpus <path>',
      'file or folder of text; default: the documentation of the installed dependencies',
    )
    .option('--out <folder>', 'folder for report.json, report.md and model/; default: below .forge/demo')
    .option('--seed <seed>', 'same seed, same models', '7')
    .addOption(
      new Option('--preset <preset>', 'size of the models')
        .choices(['pico', 'nano', 'small', 'base'])
        .default('pico'),
    )
    .option('--data <folder>', 'folder for events, artifacts and logs; default: below .forge/demo')
    .option('--set <key=value>', 'change a field of the specification (repeatable)', collect)
    .addHelpText(
      'after',
      '\nExamples:\n  $ npm run demo\n  $ npm run demo -- --corpus book.txt --out result --seed 3',
    )
    .action(
      action<DemoOptions>(io, async (session, options) => {
        const { runDemo } = await import('../demo/run-demo.js');
        await runDemo(session, options);
      }),
    );
}
