/** Media types of artifacts. */
export const MEDIA_TYPES = {
  model: 'application/vnd.agentforge.model.v1+json',
  checkpoint: 'application/vnd.agentforge.checkpoint.v1+json',
  report: 'application/vnd.agentforge.report.v1+json',
  text: 'text/plain',
  jsonl: 'application/jsonl',
  json: 'application/json',
  yaml: 'application/yaml',
  svg: 'image/svg+xml',
  binary: 'application/octet-stream',
} as const;

/** Artifact types as ports name them. */
export const ARTIFACT_TYPES = {
  model: 'model',
  corpus: 'corpus',
  report: 'report',
  recipe: 'recipe',
  figure: 'figure',
  checkpoint: 'checkpoint',
} as const;
