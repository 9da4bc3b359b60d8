import {
  countParameters,
  type ModelConfig,
  memorySettings,
  PRESETS,
  type PresetName,
  presetConfig,
  titansMag,
} from '@agentforge/model';
import { failures, type Measurement } from '../verdict.js';
import type { Gate, GateSubject } from './gate.js';
import { Measured } from './measured.js';

/** Models when the configuration does not say. */
const DEFAULT_COUNT = 3;
/** How far the validation loss must lie below the unigram entropy: about a twentieth of a nat shows that context is used. */
const LOSS_MARGIN = 0.05;
/** Relative L2 distance that rounding does not reach and a few steps of different data do. */
const DISTANCE_FLOOR = 1e-3;
/** Share by which the number of parameters may differ from the preset's. */
const PARAMETER_TOLERANCE = 0.1;

const measurement = (
  name: string,
  value: number,
  comparison: Measurement['comparison'],
  threshold: number,
  unit = '1',
): Measurement => ({ name, value, threshold, comparison, unit });

const numberOf = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);

/** Quality gates of the phase that creates the founding models. */
export const COGNATE_GATES: readonly Gate[] = [
  {
    name: 'gate/cognate/count',
    phase: 'cognate',
    description: 'As many models as the configuration asks for',
    blocking: true,
    judge: ({ config, outputModels }) => {
      const wanted = numberOf(config['count']) ?? DEFAULT_COUNT;
      const details = [measurement('models', outputModels.length, 'equal', wanted)];
      return { details, errors: failures(details) };
    },
  },
  {
    name: 'gate/cognate/finite',
    phase: 'cognate',
    description: 'Every weight of every model is finite',
    blocking: true,
    threshold: measurement('values that are not finite', 0, 'equal', 0),
    judge: ({ outputModels }) => {
      const details = outputModels.map(({ name, inspection }) =>
        measurement(`${name}: values that are not finite`, inspection.nonFinite, 'equal', 0),
      );
      return { details, errors: failures(details) };
    },
  },
  {
    name: 'gate/cognate/loss-margin',
    phase: 'cognate',
    description:
      'The loss on the fitness split lies below the unigram entropy of that split: the model uses context',
    blocking: true,
    threshold: measurement('entropy - loss', 0, 'at-least', LOSS_MARGIN, 'nats/token'),
    judge: judgeLossMargin,
  },
  {
    name: 'gate/cognate/distance',
    phase: 'cognate',
    description: 'Every two models differ: the relative L2 distance of their weights is above a floor',
    blocking: true,
    threshold: measurement('distance', 0, 'at-least', DISTANCE_FLOOR),
    judge: judgeDistance,
  },
  {
    name: 'gate/cognate/parameters',
    phase: 'cognate',
    description: 'The number of parameters is within 10 % of the preset and is what the phase says',
    blocking: true,
    threshold: measurement('share of the preset', 0, 'at-most', PARAMETER_TOLERANCE),
    judge: judgeParameters,
  },
];

function judgeLossMargin({ result, outputModels }: GateSubject) {
  const measured = new Measured(result);
  const details = outputModels.flatMap(({ name }) => {
    const loss = measured.value('loss', 'fitness', name);
    const entropy = measured.value('unigram_entropy', 'fitness', name, '');
    return Number.isNaN(entropy - loss)
      ? []
      : [
          measurement(`${name}: entropy - loss`, entropy - loss, 'at-least', LOSS_MARGIN, 'nats/token'),
          measurement(`${name}: loss`, loss, 'shown', 0, 'nats/token'),
        ];
  });
  return {
    details,
    errors: [...measured.missing, ...failures(details)],
    recommendations: ['train longer, or on more text', 'lower the learning rate if the loss curve rises'],
  };
}

function judgeDistance({ result, outputModels }: GateSubject) {
  const measured = new Measured(result);
  const pairs = outputModels.flatMap((a, i) => outputModels.slice(i + 1).map((b) => [a, b] as const));
  const details = pairs.flatMap(([a, b]) => {
    const isSame =
      a.inspection.weightsDigest !== '' && a.inspection.weightsDigest === b.inspection.weightsDigest;
    const [first, second] = a.name < b.name ? [a.name, b.name] : [b.name, a.name];
    const subjects = [`${first}|${second}`, `${second}|${first}`] as const;
    const distance = isSame ? 0 : measured.value('pairwise_distance', '', ...subjects);
    return Number.isNaN(distance)
      ? []
      : [measurement(`distance of ${first} and ${second}`, distance, 'at-least', DISTANCE_FLOOR)];
  });
  return {
    details,
    errors: [...measured.missing, ...failures(details)],
    recommendations: ['give the specialisations different data or different settings'],
  };
}

function judgeParameters({ config, result, outputModels }: GateSubject) {
  const measured = new Measured(result);
  const expected = expectedParameters(config);
  const details: Measurement[] = [];
  for (const { name, inspection } of outputModels) {
    const { parameters } = inspection;
    if (parameters === undefined) continue;
    const said = measured.value('parameters', '', name);
    if (!Number.isNaN(said)) details.push(measurement(`${name}: parameters`, parameters, 'equal', said));
    if (expected === undefined) continue;
    const share = Math.abs(parameters - expected) / expected;
    details.push(measurement(`${name}: distance from the preset`, share, 'at-most', PARAMETER_TOLERANCE));
  }
  return { details, errors: [...measured.missing, ...failures(details)] };
}

/** Parameters that the configured preset gives; undefined when the step names no known preset. */
function expectedParameters(config: GateSubject['config']): number | undefined {
  const preset = config['preset'];
  if (typeof preset !== 'string' || !Object.hasOwn(PRESETS, preset)) return undefined;
  const vocabSize = numberOf(config['vocab_size']);
  const contextLength = numberOf(config['context_length']);
  const shape = presetConfig(preset as PresetName, {
    ...(vocabSize && { vocabSize }),
    ...(contextLength && { contextLength }),
  });
  return countParameters(withMemory(shape, config)).total;
}

/** The shape of the architecture that the step names; memory is not part of a preset, so its settings say its size. */
function withMemory(shape: ModelConfig, config: GateSubject['config']): ModelConfig {
  if (config['architecture'] !== 'titans-mag') return shape;
  const { data: memory } = memorySettings.safeParse(config['memory'] ?? {});
  return titansMag(shape, { window: numberOf(config['window']), memory });
}
