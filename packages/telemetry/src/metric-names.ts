/**
 * The one registry of metrics: a metric exists only when it has a line here. Keep them sorted.
 *
 * Labels have bounded values (a service, method, code, phase, outcome): never an id, a digest, a path or free text.
 * `Metrics` folds what exceeds {@link MAX_SERIES} into `other`.
 */

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
    help: 'Messages given up that nobody redrove or deleted; every front door exports all: aggregate by max',
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
    help: 'Best fitness of the search that this worker runs; of several the newest value',
    labels: ['phase'],
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
    help: 'Runs by state; from the engine "active", those that have not ended. Every replica exports all: aggregate by max',
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
    help: 'Times of schedules by what came of them; held: there was no room, it is tried again',
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
    help: 'Time from READY until a worker starts, the wait before another try included',
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
  subtaskRedeliveries: {
    kind: 'counter',
    name: 'forge_subtask_redeliveries_total',
    help: 'Subtasks of steps of this worker that were given again or computed here as well, by why',
    labels: ['phase', 'reason'],
  },
  subtasks: {
    kind: 'counter',
    name: 'forge_subtasks_total',
    help: 'Subtasks: own, other and kept (from an earlier one) are answers for steps of this worker, helped is work for others',
    labels: ['phase', 'kind', 'outcome'],
  },
  subtasksInFlight: {
    kind: 'gauge',
    name: 'forge_subtasks_in_flight',
    help: 'Subtasks of other workers that this worker is computing',
    labels: ['phase'],
  },
  subtaskWait: {
    kind: 'histogram',
    name: 'forge_subtask_wait_seconds',
    help: 'Time from the begin of a batch of subtasks until one of them is taken',
    labels: ['phase'],
    buckets: REQUEST_SECONDS,
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
    help: 'Loss per token of the step that this worker runs; of several the newest value',
    labels: ['phase', 'split'],
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
