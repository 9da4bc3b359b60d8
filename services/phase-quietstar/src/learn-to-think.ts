import {
  countParameters,
  encodeModelFiles,
  encodeThoughtFiles,
  LlamaModel,
  type ScoredRow,
  scoreThinking,
  ThinkingModel,
} from '@agentforge/model';
import {
  MEDIA_TYPES,
  type PhaseContext,
  type PhaseMetricValue,
  type PhaseOutput,
  type PhaseResult,
} from '@agentforge/phase-runtime/worker';
import { backendInfo, Philox, selectDevice } from '@agentforge/tensor';
import type { QuietstarConfig } from './domain/quietstar-config.js';
import { textRows } from './domain/scored-rows.js';
import { modelOf } from './domain/thinker.js';
import { accuracyOf, judge, measureTests, OUTCOMES, type Outcome, type Rivals } from './domain/verdict.js';
import { Thinking, type Thought } from './thinking.js';
import { readInputs, type ThinkingInputs } from './thinking-inputs.js';
import { type InputScore, thinkingMetrics, thinkingReport } from './thinking-report.js';

/** Teaches a model to think, or hands it on as it is when the fallback is asked for: the work of the phase. */
export async function learnToThink(context: PhaseContext<QuietstarConfig>): Promise<PhaseResult> {
  selectDevice(context.device, { threads: context.threads });
  const inputs = await readInputs(context);
  const parameters = countParameters(inputs.config).total;
  if (context.fallback !== '') {
    const metrics = [{ name: 'parameters', value: parameters, unit: '1', split: '', subject: '' }];
    return deliver(context, inputs, { outcome: OUTCOMES.fallback, metrics, thought: null });
  }
  const thought = await new Thinking(context, inputs).run();
  const { bootstrap: resamples, confidence, min_correlation } = context.config;
  const rng = new Philox(context.seed).stream('quietstar').stream('bootstrap');
  const judged: Rivals = thought.answers
    ? { ...thought.answers, unit: 'row' }
    : { ...thought.text, unit: 'token' };
  const tests = measureTests(judged, { resamples, confidence, rng });
  const input = scoreInput(context, inputs);
  const metrics = thinkingMetrics({ thought, input, tests, parameters }, inputs);
  return deliver(context, inputs, { outcome: judge(tests, min_correlation), metrics, thought });
}

/** The input model on what the arms predicted. */
function scoreInput(context: PhaseContext<QuietstarConfig>, { config, ...inputs }: ThinkingInputs) {
  const { sequence_length, report_tokens, batch_size } = context.config;
  const rng = new Philox(0);
  // Without thoughts a thinking model is the Llama in it.
  const model = ThinkingModel.begin(LlamaModel.fromState(config, inputs.weights), inputs.tokenizer, rng);
  const score = (rows: readonly ScoredRow[], unit: Rivals['unit']): InputScore => {
    const points = scoreThinking(model, rows, {
      kind: 'pause',
      thoughtLength: 1,
      temperature: 0,
      batchSize: batch_size,
      rng,
      checkCancelled: () => context.throwIfAborted(),
    });
    return {
      lossNats: points.reduce((sum, { plainNats }) => sum + plainNats, 0) / points.length,
      accuracy: accuracyOf(points, unit, ({ isPlainRight }) => isPlainRight),
    };
  };
  try {
    return {
      text: score(textRows(inputs.report, sequence_length, report_tokens), 'token'),
      answers: inputs.tasks ? score(inputs.tasks, 'row') : null,
    };
  } finally {
    model.dispose();
  }
}

/** What is to be handed on, and said about it. */
export interface Delivery {
  readonly outcome: Outcome;
  readonly metrics: readonly PhaseMetricValue[];
  /** Null for the fallback. */
  readonly thought: Thought | null;
}

/** Stores model and report. */
export async function deliver(
  context: PhaseContext<QuietstarConfig>,
  inputs: ThinkingInputs,
  delivery: Delivery,
): Promise<PhaseResult> {
  const { outcome, metrics, thought } = delivery;
  const model =
    outcome === OUTCOMES.improved && thought
      ? await putThinkingModel(context, inputs, thought)
      : inputs.artifact.ref;
  const report = await context.putBlob(
    { name: 'quietstar-report', type: 'report', mediaType: MEDIA_TYPES.report },
    thinkingReport(context, inputs, delivery),
  );
  const outputs: PhaseOutput[] = [
    { port: 'model', artifacts: [model] },
    { port: 'report', artifacts: [report] },
  ];
  const { device, isa, threads } = backendInfo();
  return { outcome, outputs, metrics, backend: `${device}-${isa}`, threads };
}

/** Stores the thinking model: a Llama in Hugging Face layout, with the files that thinking needs beside it. */
function putThinkingModel(
  context: PhaseContext<QuietstarConfig>,
  { config, tokenizer }: ThinkingInputs,
  { weights }: Thought,
) {
  const model = modelOf(config, weights);
  try {
    const files = new Map([
      ...encodeModelFiles(model.llama, tokenizer),
      ...encodeThoughtFiles(model, { thought_length: context.config.thought_length, temperature: 0 }),
    ]);
    return context.putManifest({ name: 'thinking', type: 'model', mediaType: MEDIA_TYPES.model }, files, {
      architecture: 'llama',
      parameters: String(countParameters(config).total),
      thought_length: String(context.config.thought_length),
      phase: 'quietstar',
      outcome: OUTCOMES.improved,
    });
  } finally {
    model.dispose();
  }
}
