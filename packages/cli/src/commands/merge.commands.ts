import type { Command } from 'commander';
import type { Io } from '../session.js';
import { action, bytes, wholeNumber } from './action.js';
import type { MergeOptions } from './merge.actions.js';

/** `forge merge`. The compute core is loaded only when it runs. */
export function addMergeCommand(program: Command, io: Io): void {
  program
    .command('merge <recipe> <out>')
    .description('Merge models by a recipe in the YAML of mergekit; no server is needed')
    .option('--base-dir <folder>', 'what folders of the recipe are relative to (default: this folder)')
    .option('--dry-run', 'check the recipe and its models, and say what would be made')
    .option('--threads <count>', 'compute threads (default: physical cores)', wholeNumber(1, 1024))
    .option('--max-shard-size <bytes>', 'most bytes per weights file, as 2GB (default: 5GB)', bytes)
    .option('--json', 'the report as JSON, as -o json')
    .addHelpText(
      'after',
      `
Models are folders in Hugging Face layout with safetensors files; nothing is downloaded. "model+adapter" is one with a LoRA
adapter in PEFT's layout. Tensors are read, merged and written one by one, so memory holds a few of them. OUT is a new
folder: it appears complete, or not at all. A result above --max-shard-size becomes several files with an index, as
transformers reads them.

Methods: linear, slerp, nuslerp, multislerp, karcher, task_arithmetic, ties, dare_linear, dare_ties, della, della_linear,
breadcrumbs, breadcrumbs_ties, sce, ram, ramplus_tl, model_stock, nearswap, arcee_fusion, passthrough.
A file may hold several documents with names: later merges use earlier ones as models; the one without a name is the
result. "parameters: {seed: 7}" chooses the masks of random methods.

  merge_method: ties
  base_model: ./base
  models:
    - {model: ./math, parameters: {weight: 0.6, density: 0.5}}
    - {model: ./code, parameters: {weight: [0.2, 0.8], density: 0.5}}   # from the first layer to the last
  dtype: bfloat16
  tokenizer: {source: union}

Examples:
  $ forge merge recipe.yaml merged --dry-run
  $ forge merge recipe.yaml merged --base-dir models --threads 8
  $ forge merge - merged --json < recipe.yaml`,
    )
    .action(
      action<MergeOptions>(io, async (session, options, recipe = '', out = '') =>
        (await import('./merge.actions.js')).mergeModels(session, options, recipe, out),
      ),
    );
}
