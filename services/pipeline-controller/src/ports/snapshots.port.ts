import type { Snapshot, SnapshotHead } from '@agentforge/events';

/** Where the read model is kept between starts. What is there only saves time: the log has everything. */
export abstract class Snapshots {
  /** The newest snapshot that can be used. */
  abstract load(): Promise<Snapshot | undefined>;
  /** Its entries, part by part. @throws DATA_LOSS: a part is damaged */
  abstract entries(snapshot: Snapshot): AsyncIterable<readonly unknown[]>;
  /** Replaces a snapshot by one that goes further. @throws ABORTED: another replica did so first */
  abstract save(head: SnapshotHead, added: readonly unknown[], base: Snapshot | undefined): Promise<Snapshot>;
}
