/**
 * The one registry of telemetry names. A span, metric, attribute or log event exists only when it
 * has a line here; the functions of this package accept nothing else. Keep each section sorted.
 *
 * Metric labels have bounded values (a service, method, code, phase, outcome): never an id, a
 * digest, a path or free text. `Metrics` folds what exceeds {@link MAX_SERIES} into `other`.
 */

/** Spans: name and what the span measures. RPC spans add their method, a bounded target, to the name. */
export const SPANS = {
  'artifact.read': 'Reading and verifying one artifact',
  'artifact.write': 'Writing, verifying and naming one artifact',
  'events.append': 'Appending to the event log of a run',
  'events.consume': 'Handling one message from a stream, from delivery to acknowledgement',
  'events.publish': 'Publishing one message to a stream, up to its acknowledgement',
  'model.load': 'Loading a model from an artifact',
  'rpc.client': 'One outgoing RPC with all its tries',
  'rpc.server': 'One incoming RPC, from its headers to its status',
  'run.plan': 'Turning a run specification into a graph of steps',
  'step.attempt': 'One attempt of a step on a worker; root of a trace, linked to its run',
  'step.checkpoint': 'Writing one checkpoint',
  'step.dispatch': 'Committing and publishing one step attempt',
  'step.recover': 'Rebuilding a run from its event log',
  'validation.check': 'One judgement of the validators',
} as const;

/** Name of a registered span. */
export type SpanName = keyof typeof SPANS;

/**
 * Attributes of spans and fields of log lines: the key that code and logs use, and the name on
 * spans, after the OpenTelemetry semantic conventions where they have one.
 */
export const ATTRIBUTES = {
  address: 'server.address',
  artifactDigest: 'forge.artifact.digest',
  artifactType: 'forge.artifact.type',
  attempt: 'forge.attempt.number',
  attemptId: 'forge.attempt.id',
  attempts: 'forge.attempts',
  backend: 'forge.compute.backend',
  backoffMs: 'forge.backoff_ms',
  bucket: 'forge.bucket',
  checkpointDigest: 'forge.checkpoint.digest',
  code: 'rpc.response.status_code',
  config: 'forge.config',
  consumer: 'messaging.consumer.group.name',
  count: 'forge.count',
  deliveries: 'messaging.deliveries',
  delayMs: 'forge.delay_ms',
  durationMs: 'forge.duration_ms',
  errorId: 'forge.error.id',
  eventType: 'forge.event.type',
  fencing: 'forge.attempt.fencing',
  fitness: 'forge.fitness',
  generation: 'forge.generation',
  grpc: 'forge.address.grpc',
  http: 'forge.address.http',
  lagMs: 'forge.event_loop.lag_ms',
  limit: 'forge.limit',
  loss: 'forge.loss',
  message: 'forge.message',
  method: 'rpc.method',
  modelDigest: 'forge.model.digest',
  name: 'forge.name',
  operation: 'forge.operation',
  outcome: 'forge.outcome',
  path: 'forge.path',
  peer: 'client.address',
  phase: 'forge.phase',
  pid: 'process.pid',
  port: 'forge.port.name',
  progress: 'forge.progress',
  projectId: 'forge.project.id',
  queue: 'forge.queue',
  ready: 'forge.ready',
  reason: 'forge.reason',
  replica: 'forge.replica',
  requestId: 'forge.request.id',
  revision: 'forge.revision',
  rpcService: 'rpc.service',
  runId: 'forge.run.id',
  runState: 'forge.run.state',
  seed: 'forge.seed',
  sequence: 'forge.sequence',
  signal: 'process.signal',
  sizeBytes: 'forge.size_bytes',
  skewMs: 'forge.clock.skew_ms',
  split: 'forge.split',
  stack: 'exception.stacktrace',
  state: 'forge.state',
  step: 'forge.train.step',
  stepId: 'forge.step.id',
  stepKind: 'forge.step.kind',
  stream: 'messaging.destination.name',
  subject: 'messaging.destination.subject',
  tenant: 'forge.tenant',
  threads: 'forge.compute.threads',
  tokens: 'forge.tokens',
  tokensPerSecond: 'forge.tokens_per_second',
  url: 'url.full',
  value: 'forge.value',
  version: 'service.version',
  workerId: 'forge.worker.id',
} as const;

/** Key of a registered attribute, as code and log lines use it. */
export type AttributeKey = keyof typeof ATTRIBUTES;

/** Log events: name and when the line is written. */
export const LOG_EVENTS = {
  'artifact.collected': 'Garbage collection removed artifacts that nothing refers to',
  'artifact.corrupt': 'The bytes of an artifact do not have its digest',
  'artifact.deleted': 'An artifact was deleted',
  'artifact.written': 'An artifact was stored and verified',
  'breaker.changed': 'The breaker of a phase opened, became half open, or closed',
  'cache.failed': 'The step cache could not be asked or written; the step does its own work',
  'cache.stored': 'The result of a step was kept for others',
  'compute.device': 'What this process computes on, and why not on something better',
  'config.loaded': 'The settings of the service, secrets hidden',
  'drain.finished': 'The drain is complete',
  'drain.forced': 'A phase of the drain ran out of time and was cut short',
  'drain.phase': 'The drain entered a phase',
  'drain.started': 'The service began to drain',
  'events.conflict': 'An append lost the race for its expected sequence',
  'events.connected': 'The connection to NATS stands',
  'events.consumer_restarted': 'The watchdog replaced a stuck consumer',
  'events.consumer_stuck': 'A consumer is active but receives nothing although messages wait',
  'events.dead_letter': 'A message was given up after its last delivery',
  'events.disconnected': 'The connection to NATS was lost; reconnecting',
  'events.handler_failed': 'The handler of a message threw',
  'events.letter_deleted': 'A dead letter was deleted',
  'events.letter_redriven': 'A dead letter was sent again',
  'events.reconnected': 'The connection to NATS is back',
  'events.stream_ready': 'A stream or bucket exists with the wanted settings',
  'events.waiting': 'Waiting for NATS at start',
  'framework.message': 'A line that the application framework wrote',
  'lease.acquired': 'A resource lease was taken',
  'lease.lost': 'A resource lease ran out or was taken over',
  'lease.refused': 'A resource request that no pool can ever grant',
  'lease.released': 'A resource lease was given back',
  'metrics.series_folded': 'A metric reached its bound of label sets; further ones count as other',
  'model.loaded': 'A model is in memory',
  'phase.checkpoint': 'A phase wrote a checkpoint',
  'phase.progress': 'A point on the curve of a phase',
  'phase.resumed': 'A phase continues from a checkpoint',
  'process.failed': 'An error that nothing caught; the process ends',
  'process.rejection': 'A promise was rejected and nobody listened',
  'quota.changed': 'The limits of a project were changed',
  'quota.refused': 'A request was refused because of a limit of its project',
  'replica.joined': 'A replica of the service was heard of',
  'replica.left': 'A replica of the service is silent or has left',
  'replica.skewed': 'The clock of the machine differs from that of the NATS server, which the engine uses',
  'rpc.failed': 'An RPC ended in an internal error; the caller got the error id',
  'rpc.finished': 'An RPC ended',
  'rpc.refused': 'An RPC was refused because a limit is reached',
  'rpc.retried': 'A client tries an RPC again',
  'run.admitted': 'A run was accepted',
  'run.cancelled': 'A run was cancelled',
  'run.created': 'A run was created',
  'run.failed': 'A run failed',
  'run.finished': 'A run reached its end',
  'run.paused': 'A run was paused',
  'run.quarantined': 'The log of a run has a gap or cannot be read; nothing is done for the run',
  'run.recovered': 'A run was rebuilt from its log and goes on',
  'run.refused': 'A run was not accepted',
  'run.resumed': 'A run was resumed',
  'run.state_changed': 'A run went from one state to another',
  'run.watch_ended': 'The stream that watches a run ended',
  'schedule.changed': 'A schedule was created, changed, paused, resumed or deleted',
  'schedule.failed': 'A schedule could not create a run',
  'schedule.fired': 'A schedule created a run',
  'schedule.missed': 'Times of a schedule were left out by its policies',
  'service.failed': 'The service could not start',
  'service.listening': 'The service serves; its addresses',
  'service.readiness': 'Readiness changed',
  'service.starting': 'The service starts',
  'service.stopped': 'The service has stopped',
  'snapshot.failed': 'A snapshot could not be read or written; the log is replayed instead',
  'snapshot.loaded': 'History up to a place of the log was loaded from a snapshot',
  'snapshot.written': 'A snapshot of history was written',
  'step.cancelled': 'A step was cancelled',
  'step.dispatched': 'A step attempt was published to the queue',
  'step.failed': 'A step attempt failed',
  'step.fenced': 'A result of an older attempt was refused',
  'step.finished': 'A step attempt succeeded',
  'step.handed_back': 'A worker gave a task back to the queue',
  'step.heartbeat_missed': 'A step attempt stopped sending heartbeats',
  'step.redelivered': 'A task was delivered again',
  'step.republished': 'A task that the log says is in flight was published again',
  'step.retried': 'A step will be tried again',
  'step.reused': 'A step took over an earlier result of the same work',
  'step.started': 'A worker started a step attempt',
  'step.timed_out': 'A step attempt exceeded its time',
  'telemetry.export_failed': 'Spans could not be exported',
  'telemetry.tracing_started': 'Spans are exported',
  'validation.finished': 'A judgement was made',
  'worker.crashed': 'A compute worker thread ended unexpectedly',
  'worker.started': 'A compute worker thread runs',
} as const;

/** Name of a registered log event. */
export type LogEvent = keyof typeof LOG_EVENTS;

/** Kind, exposition name, help text and labels of one metric. */
export interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: readonly LabelName[];
  /** Upper bounds of a histogram, in the unit of its name. */
  readonly buckets?: readonly number[];
}

/** Every label a metric may have. Each has few values: services, methods, codes, phases, outcomes… */
export const LABELS = [
  'backend',
  'bucket',
  'code',
  'consumer',
  'gate',
  'kind',
  'metric',
  'method',
  'operation',
  'outcome',
  'phase',
  'reason',
  'service',
  'split',
  'state',
  'stream',
] as const;

/** Name of a registered label. */
export type LabelName = (typeof LABELS)[number];

/** Most label sets one metric keeps; further ones are counted under the value `other`. */
export const MAX_SERIES = 500;

/** Bounds for request times, seconds: 1 ms to 60 s. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** Bounds for step times, seconds: 1 s to 1 day. */
const STEP_SECONDS = [1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400];
/** Bounds for sizes, bytes: 1 KiB to 4 GiB. */
const SIZE_BYTES = [1024, 16384, 262144, 1048576, 16777216, 268435456, 1073741824, 4294967296];

/** Metrics: the key that code uses, and what is exposed. */
export const METRICS = {
  artifactBytes: {
    kind: 'histogram',
    name: 'forge_artifact_size_bytes',
    help: 'Sizes of artifacts read and written',
    labels: ['operation'],
    buckets: SIZE_BYTES,
  },
  artifactDuration: {
    kind: 'histogram',
    name: 'forge_artifact_duration_seconds',
    help: 'Time to read or write one artifact',
    labels: ['operation', 'outcome'],
    buckets: REQUEST_SECONDS,
  },
  artifactsCollected: {
    kind: 'counter',
    name: 'forge_artifacts_collected_total',
    help: 'Artifacts removed by garbage collection',
    labels: [],
  },
  breakerState: {
    kind: 'gauge',
    name: 'forge_breaker_state',
    help: '1 for the state that the breaker of the phase is in, 0 for the others',
    labels: ['phase', 'state'],
  },
  cacheLookups: {
    kind: 'counter',
    name: 'forge_cache_lookups_total',
    help: 'Steps that asked the step cache, by what came of it',
    labels: ['phase', 'outcome'],
  },
  computeFallbacks: {
    kind: 'gauge',
    name: 'forge_compute_fallbacks',
    help: 'Calls of an operation that the device lacks and the processor ran, since the start',
    labels: ['operation'],
  },
  computeInfo: {
    kind: 'gauge',
    name: 'forge_compute_info',
    help: 'The device and instruction set that this process computes with; always 1',
    labels: ['backend', 'kind'],
  },
  computeMemory: {
    kind: 'gauge',
    name: 'forge_compute_memory_bytes',
    help: 'Memory of the compute core: live, cached for reuse, highest live, limit',
    labels: ['kind'],
  },
  consumerRestarts: {
    kind: 'counter',
    name: 'forge_consumer_restarts_total',
    help: 'Consumers replaced by the watchdog',
    labels: ['consumer'],
  },
  deadLetters: {
    kind: 'counter',
    name: 'forge_dead_letters_total',
    help: 'Messages given up after their last delivery',
    labels: ['stream'],
  },
  deadLettersPresent: {
    kind: 'gauge',
    name: 'forge_dead_letters_present',
    help: 'Messages given up that nobody redrove or deleted',
    labels: ['stream'],
  },
  eventLoopLag: {
    kind: 'gauge',
    name: 'forge_event_loop_lag_seconds',
    help: 'Longest delay of the event loop in the last window',
    labels: [],
  },
  eventsAppended: {
    kind: 'counter',
    name: 'forge_events_appended_total',
    help: 'Events appended to run logs',
    labels: ['kind', 'outcome'],
  },
  fitnessBest: {
    kind: 'gauge',
    name: 'forge_fitness_best',
    help: 'Best fitness of the running search',
    labels: ['phase', 'metric', 'split'],
  },
  gateVerdicts: {
    kind: 'counter',
    name: 'forge_gate_verdicts_total',
    help: 'Verdicts of quality gates',
    labels: ['phase', 'gate', 'outcome'],
  },
  leasesHeld: {
    kind: 'gauge',
    name: 'forge_leases_held',
    help: 'Resource leases held',
    labels: ['kind'],
  },
  messagesConsumed: {
    kind: 'counter',
    name: 'forge_messages_consumed_total',
    help: 'Messages handled from a stream',
    labels: ['stream', 'consumer', 'outcome'],
  },
  messagesPublished: {
    kind: 'counter',
    name: 'forge_messages_published_total',
    help: 'Messages published to a stream',
    labels: ['stream', 'outcome'],
  },
  pendingRuns: {
    kind: 'gauge',
    name: 'forge_runs_pending',
    help: 'Runs accepted and not yet started',
    labels: [],
  },
  queueLag: {
    kind: 'gauge',
    name: 'forge_queue_lag',
    help: 'Messages that wait for a consumer; every replica exports all queues: aggregate by max',
    labels: ['stream', 'phase'],
  },
  queueOldestAge: {
    kind: 'gauge',
    name: 'forge_queue_oldest_age_seconds',
    help: 'Age of the oldest waiting message; every replica exports all queues: aggregate by max',
    labels: ['stream', 'phase'],
  },
  quotaUsed: {
    kind: 'gauge',
    name: 'forge_quota_used_ratio',
    help: 'Largest share of its limit that any project uses',
    labels: ['kind'],
  },
  resourceFree: {
    kind: 'gauge',
    name: 'forge_resource_free',
    help: 'Resources that no lease holds over all pools: cores, bytes or accelerators',
    labels: ['kind'],
  },
  rpcClientDuration: {
    kind: 'histogram',
    name: 'forge_rpc_client_duration_seconds',
    help: 'Time of outgoing RPCs with all their tries',
    labels: ['service', 'method', 'code'],
    buckets: REQUEST_SECONDS,
  },
  rpcClientRetries: {
    kind: 'counter',
    name: 'forge_rpc_client_retries_total',
    help: 'Repeated tries of outgoing RPCs',
    labels: ['service', 'method'],
  },
  rpcServerDuration: {
    kind: 'histogram',
    name: 'forge_rpc_server_duration_seconds',
    help: 'Time of incoming RPCs; its count by code is the rate of requests and errors',
    labels: ['service', 'method', 'code'],
    buckets: REQUEST_SECONDS,
  },
  rpcServerInFlight: {
    kind: 'gauge',
    name: 'forge_rpc_server_in_flight',
    help: 'Incoming RPCs being served',
    labels: ['service', 'method'],
  },
  rpcServerRefused: {
    kind: 'counter',
    name: 'forge_rpc_server_refused_total',
    help: 'Incoming RPCs refused by a limit',
    labels: ['reason'],
  },
  runsActive: {
    kind: 'gauge',
    name: 'forge_runs_active',
    help: 'Runs by state',
    labels: ['state'],
  },
  runsFinished: {
    kind: 'counter',
    name: 'forge_runs_finished_total',
    help: 'Runs that reached an end',
    labels: ['outcome'],
  },
  runsQuarantined: {
    kind: 'gauge',
    name: 'forge_runs_quarantined',
    help: 'Runs for which nothing is done because their log has a gap or cannot be read',
    labels: [],
  },
  scheduleRuns: {
    kind: 'counter',
    name: 'forge_schedule_runs_total',
    help: 'Times of schedules by what came of them',
    labels: ['outcome'],
  },
  serviceReady: {
    kind: 'gauge',
    name: 'forge_service_ready',
    help: '1 while the service is ready',
    labels: [],
  },
  snapshotAge: {
    kind: 'gauge',
    name: 'forge_snapshot_age_seconds',
    help: 'Time since the newest snapshot of history was written',
    labels: [],
  },
  stepAttempts: {
    kind: 'counter',
    name: 'forge_step_attempts_total',
    help: 'Step attempts by outcome',
    labels: ['phase', 'outcome'],
  },
  stepDuration: {
    kind: 'histogram',
    name: 'forge_step_duration_seconds',
    help: 'Time of finished step attempts',
    labels: ['phase', 'outcome'],
    buckets: STEP_SECONDS,
  },
  stepRetries: {
    kind: 'counter',
    name: 'forge_step_retries_total',
    help: 'Steps that were tried again',
    labels: ['phase', 'reason'],
  },
  stepSchedulingDelay: {
    kind: 'histogram',
    name: 'forge_step_scheduling_delay_seconds',
    help: 'Time from READY until a worker starts',
    labels: ['phase'],
    buckets: REQUEST_SECONDS,
  },
  stepsInFlight: {
    kind: 'gauge',
    name: 'forge_steps_in_flight',
    help: 'Step attempts being executed by this worker',
    labels: ['phase'],
  },
  stepsWaiting: {
    kind: 'gauge',
    name: 'forge_steps_waiting',
    help: 'Steps that could be scheduled but for the reason',
    labels: ['reason'],
  },
  telemetrySeriesFolded: {
    kind: 'counter',
    name: 'forge_telemetry_series_folded_total',
    help: 'Observations whose label set exceeded the bound of its metric',
    labels: ['metric'],
  },
  trainingLoss: {
    kind: 'gauge',
    name: 'forge_training_loss_nats',
    help: 'Latest loss per token of the running step',
    labels: ['phase', 'split'],
  },
  trainingTokens: {
    kind: 'counter',
    name: 'forge_training_tokens_total',
    help: 'Tokens trained on',
    labels: ['phase', 'backend'],
  },
  validations: {
    kind: 'counter',
    name: 'forge_validations_total',
    help: 'Judgements of the validators',
    labels: ['kind', 'outcome'],
  },
} as const satisfies Record<string, MetricSpec>;

/** Key of a registered metric. */
export type MetricKey = keyof typeof METRICS;

/** Keys of the metrics of one kind. */
export type MetricKeyOf<Kind extends MetricSpec['kind']> = {
  [Key in MetricKey]: (typeof METRICS)[Key]['kind'] extends Kind ? Key : never;
}[MetricKey];

/** Labels of one metric: all of them, each a string. */
export type LabelsOf<Key extends MetricKey> = Readonly<
  Record<(typeof METRICS)[Key]['labels'][number], string>
>;
