import type { Individual } from '../domain/individual.js';
import type { Recipe } from '../domain/recipe.js';
import { ContentNames } from './content.js';

const slerp = (a: string, b: string, t: number): Recipe => ({ operator: 'slerp', sources: [a, b], t: [t] });

function namesOf(recipes: Readonly<Record<string, Recipe | null>>): ContentNames {
  return new ContentNames((id): Individual => {
    const recipe = recipes[id];
    if (recipe === undefined) throw new TypeError(`there is no ${id}`);
    return { id, generation: 0, origin: 'initial', recipe, layers: 1 };
  });
}

describe('ContentNames', () => {
  const names = namesOf({
    p0: null,
    p1: null,
    'g0-0': slerp('p0', 'p1', 0.5),
    'g0-1': slerp('p0', 'p1', 0.25),
    'g1-0': slerp('g0-0', 'g0-1', 0.1),
    'g2-0': slerp('g1-0', 'g0-0', 0.2),
  });

  it('calls parents by their names and everyone else by what they are made of', () => {
    expect(names.nameOf('p1')).toBe('p1');
    expect(names.nameOf('g1-0')).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(['p0', 'p1', 'g0-0', 'g0-1', 'g1-0', 'g2-0'].map((id) => names.nameOf(id))).size).toBe(6);
  });

  it('gives one name to equal genomes, whoever their sources are called', () => {
    const others = namesOf({
      p0: null,
      p1: null,
      x: slerp('p0', 'p1', 0.5),
      y: slerp('p0', 'p1', 0.25),
      z: slerp('x', 'y', 0.1),
    });
    expect(others.nameOf('z')).toBe(names.nameOf('g1-0'));
    expect(others.nameOf('y')).not.toBe(others.nameOf('x'));
  });

  it('lists each recipe once, sources before what is made of them', () => {
    const closure = names.closureOf('g2-0');
    expect([...closure.keys()]).toEqual(['g0-0', 'g0-1', 'g1-0', 'g2-0'].map((id) => names.nameOf(id)));
    expect(closure.get(names.nameOf('g2-0'))?.sources).toEqual([names.nameOf('g1-0'), names.nameOf('g0-0')]);
    expect(names.closureOf('p0').size).toBe(0);
  });
});
