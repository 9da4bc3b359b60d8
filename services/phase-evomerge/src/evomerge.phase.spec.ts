import { readFileSync } from 'node:fs';
import { checkConfig, renderConfigTable } from '@agentforge/phase-runtime';
import { schemaGaps } from '@agentforge/phase-runtime/testing';
import { evomergePhase } from './evomerge.phase.js';

describe('evomergePhase', () => {
  it('is valid as it comes, and says so in its README', () => {
    expect(checkConfig(evomergePhase, {})).toMatchObject({ isValid: true });
    expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(
      renderConfigTable(evomergePhase),
    );
  });

  it('describes and bounds every field', () => {
    expect(schemaGaps(evomergePhase)).toEqual([]);
  });
});
