import type { Snapshot, SnapshotHead } from '@agentforge/events';

/** Where it is kept which runs go on. What is there only saves time: the log has everything. */
export abstract class Snapshots {
  /** The newest snapshot that can be used. */
  abstract load(): Promise<Snapshot | undefined>;
  /** Replaces a snapshot by one that goes further. @throws ABORTED: another replica did so first */
  abstract save(head: SnapshotHead, added: readonly unknown[], base: Snapshot | undefined): Promise<Snapshot>;
}
