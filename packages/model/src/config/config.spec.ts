import { architectureOf, fromHfConfig, toHfConfig } from './hf-config.js';
import { type ModelConfig, PRESETS, parseModelConfig, presetConfig } from './model-config.js';
import { countParameters, parameterShapes } from './parameter-shapes.js';
import { titansMag } from './titans-mag.js';

function fieldsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    const { name, code, fieldViolations } = error as {
      name: string;
      code: string;
      fieldViolations: { field: string }[];
    };
    expect([name, code]).toEqual(['InvalidModelConfigError', 'INVALID_ARGUMENT']);
    return fieldViolations.map(({ field }) => field);
  }
  return [];
}

describe('presets', () => {
  // The sizes of the published presets.
  it.each([
    ['pico', 2.03e6],
    ['nano', 5.25e6],
    ['small', 24.1e6],
    ['base', 81.8e6],
  ] as const)('%s has about %d parameters', (name, about) => {
    expect(Math.abs(countParameters(PRESETS[name]).total / about - 1)).toBeLessThan(0.01);
  });

  it('keeps row lengths at multiples of 256', () => {
    for (const { hiddenSize, intermediateSize, numHeads, headDim } of Object.values(PRESETS)) {
      expect([hiddenSize % 256, intermediateSize % 256, (numHeads * headDim) % 256]).toEqual([0, 0, 0]);
    }
  });

  it('presetConfig() replaces fields and refuses unknown presets', () => {
    expect(presetConfig('pico', { numLayers: 5 })).toEqual({ ...PRESETS.pico, numLayers: 5 });
    expect(fieldsOf(() => presetConfig('huge' as 'pico'))).toEqual(['preset']);
    expect(fieldsOf(() => presetConfig('toString' as 'pico'))).toEqual(['preset']);
  });
});

describe('parseModelConfig()', () => {
  it('lists every violated field', () => {
    const config = { ...PRESETS.pico, hiddenSize: 0, numLayers: 1.5, ropeTheta: Number.NaN, extra: 1 };
    expect(fieldsOf(() => parseModelConfig(config)).sort()).toEqual([
      '',
      'hiddenSize',
      'numLayers',
      'ropeTheta',
    ]);
  });

  it.each<[string, Partial<ModelConfig>]>([
    ['numKvHeads', { numKvHeads: 3 }],
    ['headDim', { headDim: 63 }],
    ['eosTokenId', { eosTokenId: 1024 }],
  ])('checks %s against the other fields', (field, overrides) => {
    expect(fieldsOf(() => parseModelConfig({ ...PRESETS.pico, ...overrides }))).toEqual([field]);
  });
});

describe('parameterShapes()', () => {
  it('adds an output projection only when it is not tied', () => {
    expect(parameterShapes(PRESETS.pico).has('lm_head.weight')).toBe(false);
    const untied = { ...PRESETS.pico, tieWordEmbeddings: false };
    expect(parameterShapes(untied).get('lm_head.weight')).toEqual([1024, 256]);
    const { total, embedding, body } = countParameters(untied);
    expect(embedding).toBe(2 * 1024 * 256);
    expect(total).toBe(embedding + body);
  });
});

describe('Hugging Face config', () => {
  it.each(Object.entries(PRESETS))('%s survives the way there and back', (_, config) => {
    expect(fromHfConfig(JSON.parse(JSON.stringify(toHfConfig(config))))).toEqual(config);
  });

  it('reads what older writers leave out', () => {
    const config = fromHfConfig({
      model_type: 'llama',
      vocab_size: 32,
      hidden_size: 64,
      num_hidden_layers: 1,
      num_attention_heads: 4,
      intermediate_size: 128,
      eos_token_id: [2, 3],
    });
    expect(config).toMatchObject({ numKvHeads: 4, headDim: 16, ropeTheta: 10_000, rmsNormEps: 1e-6 });
    expect(config).toMatchObject({
      tieWordEmbeddings: false,
      bosTokenId: null,
      eosTokenId: 2,
      contextLength: 2048,
    });
  });

  it('prefers the nested RoPE base of newer writers', () => {
    const json = { ...toHfConfig(PRESETS.pico), rope_parameters: { rope_type: 'default', rope_theta: 5e5 } };
    expect(fromHfConfig(json).ropeTheta).toBe(5e5);
  });

  it('refuses, by field, what this family does not compute', () => {
    const json = {
      ...toHfConfig(PRESETS.pico),
      model_type: 'gemma',
      attention_bias: 'yes',
      hidden_act: 'gelu',
      rope_scaling: { rope_type: 'yarn', factor: 4 },
      vocab_size: '1024',
    };
    expect(fieldsOf(() => fromHfConfig(json)).sort()).toEqual([
      'attention_bias',
      'hidden_act',
      'model_type',
      'rope_scaling.rope_type',
      'vocab_size',
    ]);
    expect(fieldsOf(() => fromHfConfig({ ...toHfConfig(PRESETS.pico), num_key_value_heads: 3 }))).toEqual([
      'num_key_value_heads',
    ]);
  });

  it('reads scaled positions as writers before transformers 4.45 name them', () => {
    const json = { ...toHfConfig(PRESETS.pico), rope_parameters: undefined };
    expect(fromHfConfig({ ...json, rope_scaling: { type: 'linear', factor: 2 } })).toEqual({
      ...PRESETS.pico,
      ropeScaling: { type: 'linear', factor: 2 },
    });
    const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    expect(fromHfConfig({ ...json, rope_scaling: llama3 }).ropeScaling).toMatchObject({
      originalContextLength: PRESETS.pico.contextLength,
    });
  });

  it.each<[string, object, string, RegExp]>([
    ['dynamic', { rope_type: 'dynamic', factor: 2 }, 'rope_scaling.rope_type', /length .* "default"/],
    ['yarn', { type: 'yarn', factor: 2 }, 'rope_scaling.type', /scales attention.* "llama3"/],
    ['su', { rope_type: 'su' }, 'rope_scaling.rope_type', /must be one of default, linear, llama3/],
    [
      'longrope with factors for long texts',
      { rope_type: 'longrope', short_factor: [1], long_factor: [2], attention_factor: 1 },
      'rope_scaling.rope_type',
      /long_factor equal short_factor/,
    ],
    [
      'longrope that scales attention',
      { rope_type: 'longrope', short_factor: [1], long_factor: [1] },
      'rope_scaling.rope_type',
      /attention_factor 1/,
    ],
    ['linear without a factor', { rope_type: 'linear' }, 'rope_scaling.factor', /is missing/],
    ['a factor below one', { rope_type: 'linear', factor: 0.5 }, 'rope_scaling.factor', />=1/],
    [
      'a part of a head',
      { rope_type: 'default', partial_rotary_factor: 0.5 },
      'rope_scaling.partial_rotary_factor',
      /must be 1/,
    ],
    [
      'crossed wavelengths',
      { rope_type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 1 },
      'rope_scaling',
      /above lowFreqFactor/,
    ],
    [
      'another number of factors',
      { rope_type: 'longrope', short_factor: [1], long_factor: [1], attention_factor: 1 },
      'rope_scaling',
      /one for each pair/,
    ],
  ])('refuses %s, and says what to do', (_, rope_scaling, field, description) => {
    const json = { ...toHfConfig(PRESETS.pico), rope_parameters: undefined, rope_scaling };
    expect(() => fromHfConfig(json)).toThrow(
      expect.objectContaining({
        fieldViolations: [{ field, description: expect.stringMatching(description) }],
      }),
    );
  });

  it('refuses two settings of RoPE that contradict each other', () => {
    const json = { ...toHfConfig(PRESETS.pico), rope_scaling: { rope_type: 'linear', factor: 2 } };
    expect(fieldsOf(() => fromHfConfig(json))).toEqual(['rope_scaling']);
  });

  it('says in a word what a model is', () => {
    const recursion = { latentSteps: 2, cycles: 2, supervisionSteps: 3, haltThreshold: 0.5 };
    const { pico } = PRESETS;
    const models = [pico, titansMag(pico), { ...pico, recursion }, { ...titansMag(pico), recursion }];
    expect(models.map(architectureOf)).toEqual(['llama', 'titans-mag', 'recursive-llama', 'recursive-llama']);
  });
});
