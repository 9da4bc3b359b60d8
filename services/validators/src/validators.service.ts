import { type AppError, isAppError } from '@agentforge/errors';
import { Metrics } from '@agentforge/telemetry';
import { Injectable } from '@nestjs/common';
import type { Gate } from './domain/gates/gate.js';
import { GATES, gatesOf } from './domain/gates/gates.js';
import { inspectCorpus } from './domain/inspect-corpus.js';
import { identityOf, inspectModel, type ModelInspection } from './domain/inspect-model.js';
import { inspectReport, type ReportInspection } from './domain/inspect-report.js';
import { type InspectedModel, judgeCompatibility, judgeIntegrity } from './domain/judge-models.js';
import { judgePorts } from './domain/port-rules.js';
import type { ArtifactFacts, JsonObject, PhaseFacts, PortArtifacts, ResultFacts } from './domain/subject.js';
import { judgeTheatre } from './domain/theatre.js';
import { type Finding, type Judgement, judgement } from './domain/verdict.js';
import { ArtifactReader } from './ports/artifact-reader.port.js';
import { MissingPhaseError, NoGatesError } from './validators.errors.js';

/** Largest report that is read: it is JSON for people and machines, not data. */
const MAX_REPORT_BYTES = 16 * 2 ** 20;

/** An artifact and where it is, for findings: "outputs.models[1]". */
interface Placed extends ArtifactFacts {
  readonly field: string;
  readonly port: string;
}

/** What reading the artifacts of one side of a step showed. */
interface Inspections {
  readonly models: readonly (InspectedModel & { readonly port: string })[];
  readonly reports: readonly ReportInspection[];
  /** What is missing, damaged or not what its type says. */
  readonly findings: readonly Finding[];
}

/** What callers can have judged. */
@Injectable()
export class ValidatorsUseCases {
  constructor(
    private readonly artifacts: ArtifactReader,
    private readonly metrics: Metrics,
  ) {}

  /** Judges what a step is about to read. @throws INVALID_ARGUMENT, UNAVAILABLE */
  async judgeInputs(phase: PhaseFacts, inputs: readonly PortArtifacts[]): Promise<readonly Judgement[]> {
    if (phase.name === '') throw new MissingPhaseError();
    const ports = judgePorts('inputs', phase.inputs, inputs);
    if (!ports.valid) return this.#counted('inputs', [ports]);
    const { models, findings } = await this.#inspect('inputs', inputs);
    const judgements = [ports, judgement('input-artifacts', { errors: findings })];
    if (models.length > 0) judgements.push(judgeIntegrity(models));
    return this.#counted('inputs', [...judgements, ...compatibilityOf(models)]);
  }

  /** Judges what a step delivered. @throws INVALID_ARGUMENT, UNAVAILABLE */
  async judgeOutputs(
    phase: PhaseFacts,
    config: JsonObject,
    inputs: readonly PortArtifacts[],
    result: ResultFacts,
  ): Promise<readonly Judgement[]> {
    if (phase.name === '') throw new MissingPhaseError();
    const ports = judgePorts('outputs', phase.outputs, result.outputs);
    if (!ports.valid) return this.#counted('outputs', [ports]);
    const { models, reports, findings } = await this.#inspect('outputs', result.outputs);
    const inputModels = await this.#glance(inputs);
    const judgements = [
      ports,
      judgement('output-artifacts', { errors: findings }),
      ...(models.length > 0 ? [judgeIntegrity(models)] : []),
      ...compatibilityOf(models),
      judgeTheatre(result, reports, inputModels, models),
      ...gatesOf(phase.name).map((gate) =>
        judgement(gate.name, {
          ...gate.judge({ config, result, inputModels, outputModels: models }),
          blocking: gate.blocking && result.outcome !== 'fallback',
        }),
      ),
    ];
    return this.#counted('outputs', judgements, phase.name);
  }

  /** The gates of a phase, or all. @throws NOT_FOUND */
  listGates(phase: string): readonly Gate[] {
    if (phase === '') return GATES;
    const gates = gatesOf(phase);
    if (gates.length === 0) throw new NoGatesError(phase, [...new Set(GATES.map((gate) => gate.phase))]);
    return gates;
  }

  async #inspect(side: string, ports: readonly PortArtifacts[]): Promise<Inspections> {
    const models: (InspectedModel & { port: string })[] = [];
    const reports: ReportInspection[] = [];
    const findings: Finding[] = [];
    const at = (field: string) => (found: readonly Finding[]) => {
      for (const { field: path, description } of found)
        findings.push({ field: path === '' ? field : `${field}/${path}`, description });
    };
    for (const { field, port, name, digest, type } of placed(side, ports)) {
      const add = at(field);
      try {
        if (type === 'model') {
          models.push({ field, port, name, digest, inspection: await this.#inspectModel(digest) });
        } else if (type === 'corpus') {
          add((await inspectCorpus(this.artifacts.open(digest))).problems);
        } else if (type === 'report') {
          const report = inspectReport(await this.artifacts.readText(digest, MAX_REPORT_BYTES));
          add(report.problems);
          reports.push(report);
        } else {
          add((await this.artifacts.verify(digest)).map((description) => ({ field: '', description })));
        }
      } catch (error) {
        if (!isAppError(error) || !isAboutContent(error)) throw error;
        add([{ field: '', description: error.message }]);
      }
    }
    return { models, reports, findings };
  }

  async #inspectModel(digest: string): Promise<ModelInspection> {
    const { source, digests } = await this.artifacts.model(digest);
    return inspectModel(source, digests);
  }

  /** The identity of input models without reading their weights: they were judged before the step started. */
  async #glance(ports: readonly PortArtifacts[]): Promise<InspectedModel[]> {
    const models: InspectedModel[] = [];
    for (const { field, name, digest, type } of placed('inputs', ports)) {
      if (type !== 'model') continue;
      const { digests } = await this.artifacts.model(digest);
      const inspection = { problems: [], nonFinite: 0, ...identityOf(digests) };
      models.push({ field, name, digest, inspection });
    }
    return models;
  }

  #counted(kind: string, judgements: readonly Judgement[], phase = ''): readonly Judgement[] {
    for (const { validator, valid } of judgements) {
      const outcome = valid ? 'passed' : 'failed';
      this.metrics.counter('validations').inc({ kind, outcome });
      if (validator.startsWith('gate/'))
        this.metrics.counter('gateVerdicts').inc({ phase, gate: validator, outcome });
    }
    return judgements;
  }
}

const placed = (side: string, ports: readonly PortArtifacts[]): Placed[] =>
  ports.flatMap(({ port, artifacts }) =>
    artifacts.map((artifact, i) => ({ ...artifact, port, field: `${side}.${port}[${i}]` })),
  );

/** One judgement for each port that carries several models: they are meant to be combined. */
function compatibilityOf(models: Inspections['models']): Judgement[] {
  const ports = new Set(models.map(({ port }) => port));
  return [...ports].flatMap((port) => {
    const together = models.filter((model) => model.port === port);
    return together.length > 1 ? [judgeCompatibility(together)] : [];
  });
}

const isAboutContent = ({ code }: AppError): boolean =>
  code === 'NOT_FOUND' ||
  code === 'DATA_LOSS' ||
  code === 'INVALID_ARGUMENT' ||
  code === 'RESOURCE_EXHAUSTED';
