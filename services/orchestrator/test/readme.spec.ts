import { readFile } from 'node:fs/promises';
import { renderConfigTable } from '@agentforge/service-kit';
import { settings } from '../src/config.js';

describe('README', () => {
  it('has the table of settings that the code has', async () => {
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
    expect(readme).toContain(renderConfigTable(settings).trim());
  });
});
