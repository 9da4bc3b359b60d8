import { readFileSync } from 'node:fs';
import { checkConfig, renderConfigTable } from '@agentforge/phase-runtime';
import { schemaGaps } from '@agentforge/phase-runtime/testing';
import { quietstarPhase } from './quietstar.phase.js';

describe('quietstarPhase', () => {
  it('is valid as it comes, and says so in its README', () => {
    expect(checkConfig(quietstarPhase, {})).toMatchObject({ isValid: true });
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(
      renderConfigTable(quietstarPhase),
    );
  });

  it('describes and bounds every field', () => {
    expect(schemaGaps(quietstarPhase)).toEqual([]);
  });
});
