import { basename } from 'node:path';
import { stringify } from 'yaml';
import type { MergePlan } from '../plan/plan.js';

/** `README.md` of a merged model: what it was merged from and by which recipe. */
export function modelCard(name: string, plans: readonly MergePlan[], recipe: string): string {
  const last = plans.at(-1) as MergePlan;
  const stages = new Set(plans.map(({ recipe: { name: stage } }) => stage));
  const models = [
    ...new Set(plans.flatMap((plan) => plan.tensors.flatMap(({ sources }) => sources.map(nameOf)))),
  ];
  const own = models
    .filter((model) => !stages.has(model))
    .map((model) => (model.includes('..') ? basename(model) : model));
  const { method, base } = last.recipe;
  const front = stringify({
    library_name: 'transformers',
    tags: ['merge', 'agent-forge'],
    ...(own.every((model) => /^[\w.-]+\/[\w.-]+$/.test(model)) ? { base_model: own } : {}),
  });
  const lines = [
    `---\n${front}---`,
    `# ${name}`,
    `Merged by the [${method.title}](${method.source}) method${base === undefined ? '' : ` with ${base} as base`}: ${method.summary.toLowerCase()}.`,
    `Models:\n\n${own.map((model) => `- ${model}`).join('\n')}`,
    `The recipe, which mergekit reads, too:\n\n\`\`\`yaml\n${recipe.trimEnd()}\n\`\`\``,
  ];
  return `${lines.join('\n\n')}\n`;
}

function nameOf({ checkpoint }: MergePlan['tensors'][number]['sources'][number]): string {
  return checkpoint.reference;
}
