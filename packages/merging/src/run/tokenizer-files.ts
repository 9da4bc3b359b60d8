import {
  type FileSource,
  GENERATION_CONFIG_FILE,
  TOKENIZER_CONFIG_FILE,
  TOKENIZER_FILE,
} from '@agentforge/model';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import type { MergePlan } from '../plan/plan.js';

const TEMPLATE_FILE = 'chat_template.jinja';

/** Files that say how text becomes tokens in another way than tokenizer.json: of no use beside a new one. */
const OTHER_VOCABULARIES = ['tokenizer.model', 'added_tokens.json', 'merges.txt', 'vocab.json', 'vocab.txt'];

/** Files that hold for a new tokenizer as well. */
const SETTINGS = [TOKENIZER_CONFIG_FILE, 'special_tokens_map.json', TEMPLATE_FILE, 'chat_template.json'];

/** The tokenizer of a merge and the settings that go with it, by file name. */
export async function tokenizerFiles(
  { vocabulary, recipe, donor }: MergePlan,
  models: readonly Checkpoint[],
) {
  const { tokenizer, donor: owner } = vocabulary;
  const names = tokenizer ? SETTINGS : [TOKENIZER_FILE, ...SETTINGS, ...OTHER_VOCABULARIES];
  const files = new Map<string, Uint8Array>();
  for (const name of names) {
    if ((await owner.files.size(name)) !== null) files.set(name, await owner.files.read(name));
  }
  if ((await donor.files.size(GENERATION_CONFIG_FILE)) !== null) {
    files.set(GENERATION_CONFIG_FILE, await donor.files.read(GENERATION_CONFIG_FILE));
  }
  if (tokenizer) files.set(TOKENIZER_FILE, encode(`${JSON.stringify(tokenizer.json, null, 1)}\n`));
  const template = await templateOf(recipe.chatTemplate, models);
  if (template !== undefined) {
    files.delete('chat_template.json');
    files.set(TEMPLATE_FILE, encode(template));
    const settings = readJson(files.get(TOKENIZER_CONFIG_FILE));
    files.set(
      TOKENIZER_CONFIG_FILE,
      encode(`${JSON.stringify({ ...settings, chat_template: template }, null, 2)}\n`),
    );
  }
  return files;
}

/** The template that is asked for; `auto`: the one that most models have. */
async function templateOf(
  asked: string | undefined,
  models: readonly Checkpoint[],
): Promise<string | undefined> {
  if (asked !== 'auto') return asked;
  const counts = new Map<string, number>();
  for (const { files } of models) {
    const own = await storedTemplate(files);
    if (own !== undefined) counts.set(own, (counts.get(own) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0];
}

async function storedTemplate(files: FileSource): Promise<string | undefined> {
  if ((await files.size(TEMPLATE_FILE)) !== null)
    return new TextDecoder().decode(await files.read(TEMPLATE_FILE));
  if ((await files.size(TOKENIZER_CONFIG_FILE)) === null) return undefined;
  const template = readJson(await files.read(TOKENIZER_CONFIG_FILE))['chat_template'];
  return typeof template === 'string' ? template : undefined;
}

function readJson(bytes: Uint8Array | undefined): Readonly<Record<string, unknown>> {
  return bytes === undefined ? {} : (JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>);
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
