import { chosenOf, type EvolutionState } from './evolution.js';
import type { Individual } from './individual.js';
import type { SourceId } from './recipe.js';

/** Individuals that are drawn at most: what is more is thinned, so that the figure stays below half a megabyte. */
const MAX_DRAWN = 2500;

/** Share of the least fit that the axis leaves out; they are drawn on its lower end. */
const CUT_OFF = 0.1;

const COLOURS: Readonly<Record<string, string>> = {
  parent: '#204a87',
  uniform: '#4e9a06',
  chaos: '#ce5c00',
  reseed: '#75507b',
};
const OTHER = '#888a85';
const LINEAGE = '#cc0000';

const [LEFT, RIGHT, TOP, BOTTOM, HEIGHT] = [64, 24, 56, 48, 460];

/**
 * The evolution tree as SVG: generations from left to right, fitness upwards, a line from everyone to those it was made
 * from, and the lineage of the one that is handed on in red. The same state gives the same bytes.
 */
export function evolutionTree(state: EvolutionState): string {
  const everyone = state.individuals.filter(({ fitness }) => fitness !== undefined);
  const byId = new Map(everyone.map((one) => [one.id, one]));
  const lineage = lineageOf(chosenOf(state), byId);
  const drawn = thinned(everyone, new Set(lineage.map(({ id }) => id)));
  const last = Math.max(1, state.generation);
  const width = LEFT + RIGHT + Math.min(1600, Math.max(540, 22 * last));
  const [low, high] = rangeOf(drawn);
  const x = (one: Individual) => LEFT + ((width - LEFT - RIGHT) * one.generation) / last;
  const y = ({ fitness = 0 }: Individual) => {
    const height = (Math.min(high, Math.max(low, fitness)) - low) / (high - low);
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * height;
  };
  const line = (a: Individual, b: Individual) =>
    `M${x(a).toFixed(1)} ${y(a).toFixed(1)}L${x(b).toFixed(1)} ${y(b).toFixed(1)}`;
  const edges = drawn.flatMap((one) => progenitors(one, byId).map((from) => line(from, one)));
  const dots = drawn.map((one) => dot(one, x(one), y(one), (one.fitness ?? 0) < low));
  const red = lineage.slice(1).map((one, i) => line(lineage[i] as Individual, one));
  const marks = lineage.map(
    (one) =>
      `<circle cx="${x(one).toFixed(1)}" cy="${y(one).toFixed(1)}" r="5" fill="none" stroke="${LINEAGE}"/>`,
  );
  const note = drawn.length < everyone.length ? `, ${drawn.length} of ${everyone.length} drawn` : '';
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${HEIGHT}" viewBox="0 0 ${width} ${HEIGHT}" font-family="sans-serif" font-size="11">`,
    `<title>Evolution tree: ${everyone.length} individuals of ${last + 1} generations${note}</title>`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    ...legend(),
    ...axes({ low, high, last, width }),
    `<path d="${edges.join('')}" fill="none" stroke="#d3d7cf" stroke-width="0.6"/>`,
    `<path d="${red.join('')}" fill="none" stroke="${LINEAGE}" stroke-width="1.6"/>`,
    ...dots,
    ...marks,
    '</svg>',
  ].join('\n')}\n`;
}

/** Whom an individual was made from: at most three lines each. */
function progenitors(one: Individual, byId: ReadonlyMap<SourceId, Individual>): Individual[] {
  const { mutatedFrom, bredFrom, recipe, origin } = one;
  const bred = origin === 'sample' ? bredFrom?.slice(0, 1) : bredFrom;
  const ids = mutatedFrom ? [mutatedFrom] : (bred ?? recipe?.sources ?? []);
  return [...new Set(ids)].slice(0, 3).flatMap((id) => byId.get(id) ?? []);
}

/** From a founder to the one given, along the fittest progenitor each time. */
function lineageOf(one: Individual, byId: ReadonlyMap<SourceId, Individual>): Individual[] {
  const found: Individual[] = [];
  for (let at: Individual | undefined = one; at && !found.includes(at); ) {
    found.unshift(at);
    const from: Individual[] = progenitors(at, byId);
    at = from.toSorted((a, b) => (b.fitness ?? 0) - (a.fitness ?? 0))[0];
  }
  return found;
}

/** Everyone, or the lineage and every k-th of the others. */
function thinned(everyone: readonly Individual[], kept: ReadonlySet<SourceId>): readonly Individual[] {
  const step = Math.ceil(everyone.length / MAX_DRAWN);
  return everyone.filter(({ id, generation }, i) => i % step === 0 || generation === 0 || kept.has(id));
}

function rangeOf(drawn: readonly Individual[]): [number, number] {
  const sorted = drawn.map(({ fitness = 0 }) => fitness).sort((a, b) => a - b);
  const low = sorted[Math.floor(CUT_OFF * (sorted.length - 1))] ?? 0;
  const high = sorted.at(-1) ?? 1;
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

function dot({ id, origin, fitness = 0 }: Individual, x: number, y: number, isBelow: boolean): string {
  const colour = COLOURS[origin] ?? OTHER;
  const paint = isBelow ? `fill="#fff" stroke="${colour}"` : `fill="${colour}"`;
  return `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="2.5" ${paint}><title>${id} ${origin} ${fitness.toFixed(5)}</title></circle>`;
}

function legend(): string[] {
  const entries: [string, string][] = [
    ['parent', COLOURS['parent'] as string],
    ['uniform average', COLOURS['uniform'] as string],
    ['chaos', COLOURS['chaos'] as string],
    ['reseeded', COLOURS['reseed'] as string],
    ['other', OTHER],
    ['lineage of the best', LINEAGE],
  ];
  return entries.map(([name, colour], i) => {
    const at = LEFT + i * 74 + (i > 1 ? 30 : 0);
    return `<circle cx="${at}" cy="20" r="4" fill="${colour}"/><text x="${at + 8}" y="24">${name}</text>`;
  });
}

function axes({
  low,
  high,
  last,
  width,
}: {
  readonly low: number;
  readonly high: number;
  readonly last: number;
  readonly width: number;
}): string[] {
  const base = HEIGHT - BOTTOM;
  const levels = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const y = base - share * (base - TOP);
    const value = (low + share * (high - low)).toFixed(4);
    return `<line x1="${LEFT}" x2="${width - RIGHT}" y1="${y}" y2="${y}" stroke="#eeeeec"/><text x="${LEFT - 8}" y="${y + 4}" text-anchor="end">${value}</text>`;
  });
  const step = Math.max(1, Math.ceil(last / 10));
  const ticks = Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => {
    const x = LEFT + ((width - LEFT - RIGHT) * i * step) / last;
    return `<text x="${x.toFixed(1)}" y="${base + 16}" text-anchor="middle">${i * step}</text>`;
  });
  return [
    ...levels,
    ...ticks,
    `<text x="${LEFT + (width - LEFT - RIGHT) / 2}" y="${HEIGHT - 10}" text-anchor="middle">generation</text>`,
    `<text x="${LEFT - 8}" y="${TOP - 12}" text-anchor="end">fitness</text>`,
  ];
}
