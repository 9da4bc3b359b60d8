import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Replaces every {{key}}; a key without a value is an error of the template. */
export function fill(text, values) {
  return text.replace(/\{\{(\w+)\}\}/g, (_, key) => {
    if (!(key in values)) throw new Error(`the template uses {{${key}}}, which has no value`);
    return values[key];
  });
}

/**
 * Every file of a template folder as [path, text], filled in.
 * The path loses its `.tmpl` ending and may hold {{keys}} too.
 */
export function fillFolder(folder, values) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const target = fill(path.slice(folder.length + 1).replace(/\.tmpl$/, ''), values);
      return [target, fill(readFileSync(path, 'utf8'), values)];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Writes files below a root; refuses, before writing anything, when one of them exists. */
export function writeNewFiles(root, files) {
  const taken = files.filter(([path]) => existsSync(join(root, path)));
  if (taken.length > 0) throw new Error(`would overwrite ${taken.map(([path]) => path).join(', ')}`);
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
}

/** `a-b_c` as `ABC`. */
export function pascalCase(name) {
  return name.replace(/(^|[-_])([a-z0-9])/g, (_, __, letter) => letter.toUpperCase());
}
