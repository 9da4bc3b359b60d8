import { readFileSync } from 'node:fs';
import { checkConfig, renderConfigTable } from '@agentforge/phase-runtime';
import { schemaGaps } from '@agentforge/phase-runtime/testing';
import { cognatePhase } from './cognate.phase.js';

describe('cognatePhase', () => {
  it('is valid as it comes, and says so in its README', () => {
    expect(checkConfig(cognatePhase, {})).toMatchObject({ isValid: true });
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(
      renderConfigTable(cognatePhase),
    );
  });

  it('describes and bounds every field', () => {
    expect(schemaGaps(cognatePhase)).toEqual([]);
  });
});
