export {
  ArtifactNotFoundError,
  ArtifactTooLargeError,
  DigestMismatchError,
  FolderNotEmptyError,
  InsufficientStorageError,
  InvalidDigestError,
  InvalidManifestError,
  UnexpectedDigestError,
} from './artifact.errors.js';
export { artifactSettings } from './artifact-settings.js';
export {
  ArtifactStore,
  type Collection,
  type CollectOptions,
  type PutFolderOptions,
  type PutOptions,
  type ReadOptions,
  type RefOptions,
  type StoredBlob,
  type Verification,
} from './artifact-store.js';
export { ARTIFACT_TYPES, MEDIA_TYPES } from './artifact-types.js';
export { canonicalJson } from './canonical-json.js';
export { digestOf, isDigest, parseDigest } from './digest.js';
export { FolderArtifactStore, type FolderStoreOptions } from './folder-artifact-store.js';
export {
  assertManifestPath,
  decodeManifest,
  encodeManifest,
  type ManifestFileInit,
  type ManifestInit,
  toManifest,
} from './manifest.js';
