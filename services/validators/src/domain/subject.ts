/** A JSON object, as configurations are. */
export type JsonObject = { readonly [key: string]: unknown };

/** What is known of an artifact without reading it. */
export interface ArtifactFacts {
  readonly digest: string;
  readonly name: string;
  readonly type: string;
}

/** Artifacts on a port, in order. */
export interface PortArtifacts {
  readonly port: string;
  readonly artifacts: readonly ArtifactFacts[];
}

/** What a phase says about one of its ports. `maxCount` is never 0. */
export interface PortFacts {
  readonly name: string;
  readonly artifactType: string;
  readonly minCount: number;
  readonly maxCount: number;
}

/** What is known of a phase. */
export interface PhaseFacts {
  readonly name: string;
  readonly inputs: readonly PortFacts[];
  readonly outputs: readonly PortFacts[];
}

/** One measured value. */
export interface MetricValue {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly split: string;
  readonly subject: string;
}

/** What a step delivered. */
export interface ResultFacts {
  readonly outcome: string;
  readonly outputs: readonly PortArtifacts[];
  readonly metrics: readonly MetricValue[];
}

/** The metric with a name, split and subject, if it was measured. */
export function metricOf(
  metrics: readonly MetricValue[],
  name: string,
  split: string,
  subject: string,
): number | undefined {
  return metrics.find((m) => m.name === name && m.split === split && m.subject === subject)?.value;
}

/** The artifacts of a port; none when the port is absent. */
export function artifactsOf(ports: readonly PortArtifacts[], port: string): readonly ArtifactFacts[] {
  return ports.filter((entry) => entry.port === port).flatMap((entry) => entry.artifacts);
}
