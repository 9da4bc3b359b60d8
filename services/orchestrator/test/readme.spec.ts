import { readFile } from 'node:fs/promises';
import { renderConfigTable } from '@agentforge/service-kit';
import { settings } from '../src/config.js';

/** Rows of the tables of a text, without the padding that a formatter adds. */
const rows = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^[|\s:-]+$/.test(line))
    .map((line) => line.replace(/ +/g, ' ').trim());

describe('README', () => {
  it('has the table of settings that the code has', async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    const settingsTable = readme.slice(readme.indexOf('## Settings'));
    expect(rows(settingsTable)).toEqual(rows(renderConfigTable(settings)));
  });
});
