import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Documentation of this project and of the packages it is built with: real text that every checkout has. */
export function realText(): string {
  const own = [
    'README.md',
    ...readdirSync(join(root, 'infra/decisions')).map((name) => join('infra/decisions', name)),
  ];
  const installed = ['jest', 'nx', 'typescript', '@swc/core', '@biomejs/biome'].map((name) =>
    join('node_modules', name, 'README.md'),
  );
  return [...own.sort(), ...installed].map((path) => readFileSync(join(root, path), 'utf8')).join('\n');
}
