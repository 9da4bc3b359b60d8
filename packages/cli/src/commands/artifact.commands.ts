import type { Command } from 'commander';
import type { Io } from '../session.js';
import { action, wholeNumber } from './action.js';
import * as artifacts from './artifact.actions.js';
import { type LineageOptions, showLineage } from './artifact-lineage.actions.js';

/** `forge artifact …` */
export function addArtifactCommands(program: Command, io: Io): void {
  const artifact = program.command('artifact').description('Look at, fetch, check and add artifacts');

  artifact
    .command('list')
    .alias('ls')
    .description('List artifacts, newest first')
    .option('--type <type>', 'only this type: model, corpus, report, checkpoint')
    .option('--run <run>', 'only those of this run')
    .option('--step <step>', 'only those of this step')
    .option('--limit <count>', 'at most this many', wholeNumber(1, 100_000), 50)
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge artifact list --type model --run demo\n  $ forge artifact list -o name',
    )
    .action(action<artifacts.ListOptions>(io, artifacts.listArtifacts));

  artifact
    .command('get <digest>')
    .description('Describe an artifact; with --to, fetch and verify it')
    .option('--to <path>', 'file to write, or folder for an artifact of several files')
    .addHelpText(
      'after',
      '\nThe first six digits of a digest are enough.\n\nExamples:\n  $ forge artifact get 4f2a91 --to ./model',
    )
    .action(action<artifacts.GetOptions>(io, artifacts.getArtifact));

  artifact
    .command('lineage <digest>')
    .description('Show what an artifact was made from, or what was made from it')
    .option('--up', 'to what it was made from (default)')
    .option('--down', 'to what was made from it')
    .option('--depth <steps>', 'at most this many steps in a row', wholeNumber(1, 64), 16)
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge artifact lineage 4f2a91\n  $ forge artifact lineage 4f2a91 --down --depth 2 -o json',
    )
    .action(action<LineageOptions>(io, showLineage));

  artifact
    .command('verify <digest>')
    .description(
      'Read every byte of an artifact in the store and compare digests; exit code 1 when one differs',
    )
    .action(action<object>(io, artifacts.verifyArtifact));

  artifact
    .command('upload <path>')
    .description('Store a corpus (file or folder), a model folder, or any file')
    .option('--type <type>', 'artifact type; default: model for a model folder, otherwise corpus')
    .addHelpText(
      'after',
      '\nExamples:\n  $ forge artifact upload book.txt\n  $ forge artifact upload ./model --type model',
    )
    .action(action<artifacts.UploadOptions>(io, artifacts.uploadArtifact));
}
