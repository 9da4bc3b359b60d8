import { type Command, Option } from 'commander';
import type { Io } from '../session.js';
import { action, collect, decimal, wholeNumber } from './action.js';
import type { EvalOptions } from './model-eval.actions.js';
import type { ExportOptions } from './model-export.actions.js';
import type { GenerateCommandOptions } from './model-generate.actions.js';

const WHERE = `
A model is a folder in Hugging Face layout, a model.safetensors file in such a folder, a GGUF file, or the digest of an
artifact (its first six digits are enough), which is fetched from the server.`;

/** `forge model …`. The compute core is loaded only when one of these runs. */
export function addModelCommands(program: Command, io: Io): void {
  const model = program.command('model').description('Look at models and use them');
  const actions = () => import('./model.actions.js');

  model
    .command('info <model>')
    .description('Shape, parameters, tokenizer, tensors and files of a model')
    .option('--tensors', 'list every tensor')
    .addHelpText(
      'after',
      `${WHERE}\n\nExamples:\n  $ forge model info ./model\n  $ forge model info 4f2a91 -o json`,
    )
    .action(
      action<{ tensors?: boolean }>(io, async (session, options, where = '') =>
        (await actions()).modelInfo(session, options, where),
      ),
    );

  model
    .command('eval <model>')
    .description(
      'Measure a model: loss, perplexity and bits per byte on text; share of right answers on tasks',
    )
    .option('--corpus <path>', 'file or folder of text')
    .option('--task <file>', 'tasks as JSON lines; "-" reads standard input')
    .addOption(
      new Option('--split <split>', 'part of the text')
        .choices(['all', 'train', 'fitness', 'report'])
        .default('all'),
    )
    .option('--max-tokens <count>', 'only this many first tokens', wholeNumber(2))
    .option(
      '--stride <tokens>',
      'tokens between windows; fewer gives each token more context',
      wholeNumber(1),
    )
    .option(
      '--batch <rows>',
      'rows of one forward pass; changes speed and memory only',
      wholeNumber(1, 65_536),
    )
    .addHelpText(
      'after',
      `${WHERE}

A task is a line of JSON. Choices are compared by their log-likelihood after the prompt; answers are generated
greedily up to a stop string (a line break, if none is given) and matched: exact, prefix, or number (the last one).
  {"type":"choice","prompt":"2 + 2 =","choices":[" 3"," 4"],"answer":1}
  {"type":"generate","prompt":"Q: 17 + 4\\nA:","answer":"21","match":"number","max_tokens":8}

Examples:
  $ forge model eval ./model --corpus book.txt --split report
  $ forge model eval model.gguf --task arithmetic.jsonl`,
    )
    .action(
      action<EvalOptions>(io, async (session, options, where = '') =>
        (await import('./model-eval.actions.js')).modelEval(session, options, where),
      ),
    );

  model
    .command('generate <model>')
    .description('Continue a prompt')
    .option('-p, --prompt <text>', 'text to continue; "-" reads standard input', '')
    .option('-n, --max-tokens <count>', 'most tokens', wholeNumber(1, 1_000_000), 200)
    .option('-t, --temperature <value>', '0 always takes the likeliest token', decimal(0, 10), 0.8)
    .option('--top-k <count>', 'only the likeliest tokens', wholeNumber(1))
    .option('--top-p <share>', 'only the likeliest tokens that make up this share', decimal(0, 1))
    .option('--stop <text>', 'end before this text; may be given several times', collect)
    .option(
      '--samples <count>',
      'continue this often, with seed, seed + 1, …, all together',
      wholeNumber(1, 10_000),
      1,
    )
    .option('--seed <seed>', 'same seed, same text', wholeNumber(0), 0)
    .option(
      '--ponder-steps <count>',
      'supervision steps per token of a model with recursion; default: as trained',
      wholeNumber(1, 64),
    )
    .option('--think', 'think before every token; thoughts are not part of the text')
    .option('--show-thoughts', 'think, and print each thought before its token')
    .option('--thought-length <tokens>', 'of each thought; default: as learnt', wholeNumber(1, 1024))
    .option(
      '--thought-temperature <value>',
      '0 thinks the likeliest thought; default: as learnt',
      decimal(0, 10),
    )
    .addHelpText(
      'after',
      `${WHERE}

Examples:
  $ forge model generate ./model -p "Once upon" -n 100 --seed 3
  $ forge model generate model.gguf -p $'Q: 1 + 1\\nA:' -t 0 --stop $'\\n'
  $ forge model generate ./model --top-k 40 --top-p 0.9 --samples 8 -o json
  $ forge model generate ./model -p "12 + 34 =" -t 0 --show-thoughts   # of a model of phase quietstar`,
    )
    .action(
      action<GenerateCommandOptions>(io, async (session, options, where = '') =>
        (await import('./model-generate.actions.js')).modelGenerate(session, options, where),
      ),
    );

  model
    .command('export <model>')
    .description('Write a model as files that other tools load')
    .requiredOption('--to <path>', 'folder to write; for gguf, a file that ends with .gguf')
    .addOption(
      new Option(
        '--format <format>',
        'hf: config.json, model.safetensors, tokenizer.json; gguf: one file for llama.cpp',
      )
        .choices(['hf', 'gguf'])
        .default('hf'),
    )
    .option(
      '--type <type>',
      'of the weights. hf: f32 (default), f16, bf16; gguf: f16 (default), f32, q8_0, tq1_0, tq2_0',
    )
    .addOption(
      new Option(
        '--embedding-type <type>',
        'gguf only: type of the embeddings (default: --type; f16 for ternary types)',
      ).choices(['f32', 'f16', 'q8_0']),
    )
    .addHelpText(
      'after',
      `${WHERE}

The ternary types tq1_0 and tq2_0 keep models with weights -s, 0 and s exactly; others are rounded with the mean
magnitude of each matrix, and what is lost is printed. Their rows must be multiples of 256.

Examples:
  $ forge model export 4f2a91 --to ./model
  $ forge model export ./model --to model.gguf --format gguf --type q8_0`,
    )
    .action(
      action<ExportOptions>(io, async (session, options, where = '') =>
        (await import('./model-export.actions.js')).modelExport(session, options, where),
      ),
    );
}
