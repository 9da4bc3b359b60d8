import { formatRunName, parseRunName } from '@agentforge/contracts';
import { newRunId, runIdOfRequest } from './run-id.js';

const isValid = (run: string): boolean => parseRunName(formatRunName({ project: 'p', run })) !== undefined;

describe('newRunId()', () => {
  it('is a valid id, never the same twice, and sorts by time', () => {
    const ids = Array.from({ length: 1_000 }, () => newRunId(1_700_000_000_000));
    expect(new Set(ids).size).toBe(1_000);
    expect(ids.every(isValid)).toBe(true);
    expect(newRunId(1_700_000_000_000) < newRunId(1_700_000_000_001)).toBe(true);
  });
});

describe('runIdOfRequest()', () => {
  it('is a valid id that depends on project and request id only', () => {
    expect(runIdOfRequest('p', 'r')).toBe(runIdOfRequest('p', 'r'));
    expect(runIdOfRequest('p', 'r')).not.toBe(runIdOfRequest('q', 'r'));
    expect(isValid(runIdOfRequest('p', 'r'))).toBe(true);
  });
});
