import { availableParallelism } from 'node:os';
import { artifactSettings } from '@agentforge/artifacts';
import {
  type ConfigOf,
  type DefaultPorts,
  dataSettings,
  defineSettings,
  natsSettings,
  serverSettings,
  setting,
} from '@agentforge/service-kit';
import { z } from 'zod';

const zCount = z.coerce.number().int().min(1);

/** The settings of a phase service: those of every service, and how it executes tasks. */
export function phaseSettings(ports: DefaultPorts) {
  const { artifactDir, artifactMaxBytes } = artifactSettings();
  return defineSettings({
    ...serverSettings(ports),
    ...natsSettings(),
    ...dataSettings(),
    artifactDir: setting(artifactDir),
    artifactMaxBytes: setting(artifactMaxBytes),
    concurrency: setting({
      env: 'FORGE_TASK_CONCURRENCY',
      schema: zCount.max(64),
      default: 1,
      unit: 'tasks',
      description: 'Tasks that one replica executes at once',
    }),
    tasksPerThread: setting({
      env: 'FORGE_TASKS_PER_THREAD',
      schema: zCount.max(100_000),
      default: 100,
      unit: 'tasks',
      description:
        'Tasks after which a worker thread is replaced, once its successor is loaded; 1 gives each task a thread that has done nothing before',
    }),
    subtaskConcurrency: setting({
      env: 'FORGE_SUBTASK_CONCURRENCY',
      schema: z.coerce.number().int().min(0).max(64),
      default: 1,
      unit: 'threads',
      description:
        'Threads without a task that compute subtasks of steps of other replicas; 0 for none. A task that comes has precedence',
    }),
    subtaskMemoryBytes: setting({
      env: 'FORGE_SUBTASK_MEMORY_BYTES',
      schema: z.coerce.number().int().min(0),
      default: 0,
      unit: 'bytes',
      description:
        'Most memory that a subtask of another replica may take; 0 means the memory of the pool over the task concurrency',
    }),
    subtaskCache: setting({
      env: 'FORGE_SUBTASK_CACHE',
      schema: z.enum(['on', 'off']),
      default: 'on',
      description:
        'Whether answers of subtasks are taken from earlier ones of the same project, and kept for later ones',
    }),
    computeThreads: setting({
      env: 'FORGE_COMPUTE_THREADS',
      schema: zCount.max(1024),
      default: availableParallelism(),
      unit: 'threads',
      description: 'Threads of the compute pool of one task',
    }),
    computeDevice: setting({
      env: 'FORGE_COMPUTE_DEVICE',
      schema: z.enum(['cpu', 'cuda', 'auto']),
      default: 'auto',
      description: 'What computes; auto takes the best device there is, cuda refuses to start without one',
    }),
    workerId: setting({
      env: 'FORGE_WORKER_ID',
      schema: z.string().max(200),
      default: '',
      description: 'Name of this replica in reports; made from host and process when empty',
    }),
    heartbeatMs: setting({
      env: 'FORGE_HEARTBEAT_MS',
      schema: zCount.max(60_000),
      default: 1000,
      unit: 'ms',
      description: 'Time between two heartbeats of a running task',
    }),
    ackWaitMs: setting({
      env: 'FORGE_TASK_ACK_WAIT_MS',
      schema: z.coerce
        .number()
        .int()
        .refine((ms) => ms === 0 || ms >= 500, 'must be 0 or at least 500'),
      default: 0,
      unit: 'ms',
      description:
        'Silence of a worker after which its task is delivered to another one; 0 means three heartbeats, at least 500 ms',
    }),
    checkpointIntervalMs: setting({
      env: 'FORGE_CHECKPOINT_INTERVAL_MS',
      schema: zCount,
      default: 20_000,
      unit: 'ms',
      description: 'Work between two checkpoints of a phase that does not configure it',
    }),
    cancelGraceMs: setting({
      env: 'FORGE_CANCEL_GRACE_MS',
      schema: zCount.max(60_000),
      default: 1500,
      unit: 'ms',
      description: 'Time a cancelled computation gets to stop by itself before its thread is terminated',
    }),
    releaseGraceMs: setting({
      env: 'FORGE_RELEASE_GRACE_MS',
      schema: zCount,
      default: 15_000,
      unit: 'ms',
      description: 'Time a released computation gets to store a checkpoint before its thread is terminated',
    }),
    pool: setting({
      env: 'FORGE_POOL',
      schema: z.string().max(100),
      default: '',
      description: 'Name of the pool of resources that steps lease from here; the host when empty',
    }),
    poolCpu: setting({
      env: 'FORGE_POOL_CPU',
      schema: z.coerce.number().min(0).max(4_096),
      default: 0,
      unit: 'cores',
      description: 'Cores of the pool; 0 means all that the process may use',
    }),
    poolMemoryBytes: setting({
      env: 'FORGE_POOL_MEMORY_BYTES',
      schema: z.coerce.number().int().min(0),
      default: 0,
      unit: 'bytes',
      description: 'Memory of the pool; 0 means all that the host or its container has',
    }),
    poolGpus: setting({
      env: 'FORGE_POOL_GPUS',
      schema: z.coerce.number().int().min(0).max(64),
      default: 0,
      unit: 'accelerators',
      description: 'Accelerators of the pool that steps may lease',
    }),
    poolGpuMemoryBytes: setting({
      env: 'FORGE_POOL_GPU_MEMORY_BYTES',
      schema: z.coerce.number().int().min(0),
      default: 0,
      unit: 'bytes',
      description: 'Memory of each accelerator of the pool',
    }),
  });
}

/** Configuration of a phase service. */
export type PhaseServiceConfig = ConfigOf<ReturnType<typeof phaseSettings>>;
