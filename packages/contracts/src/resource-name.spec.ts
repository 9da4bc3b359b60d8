import { formatRunName, isProjectName, parseProjectName, parseRunName } from './resource-name.js';

describe('parseRunName()', () => {
  it('is the inverse of formatRunName()', () => {
    const name = { project: 'default', run: 'r-20261101-7f3a' };
    expect(parseRunName(formatRunName(name))).toEqual(name);
  });

  it.each([
    'projects/default',
    'projects/default/runs/',
    'projects/Default/runs/a',
    'projects/a/runs/b.c',
    'projects/a/runs/*',
    'projects/a/runs/..',
    `projects/a/runs/${'x'.repeat(64)}`,
    'projects/a/runs/b/steps/c',
    ' projects/a/runs/b',
    'projects/a/runs/b\n',
  ])('refuses %p', (text) => {
    expect(parseRunName(text)).toBeUndefined();
  });
});

describe('parseProjectName()', () => {
  it('returns the segment', () => expect(parseProjectName('projects/search')).toBe('search'));
  it('refuses a run name', () => expect(isProjectName('projects/a/runs/b')).toBe(false));
});
