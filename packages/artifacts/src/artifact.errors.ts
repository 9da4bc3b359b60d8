import { AppError } from '@agentforge/errors';

/** Not "sha256:" and 64 lower-case hexadecimal digits. */
export class InvalidDigestError extends AppError {
  constructor(text: string) {
    super('INVALID_ARGUMENT', `${JSON.stringify(text.slice(0, 100))} is not a sha-256 digest`, {
      reason: 'INVALID_DIGEST',
    });
  }
}

/** A manifest, or what should become one, breaks a rule. */
export class InvalidManifestError extends AppError {
  constructor(field: string, problem: string) {
    super('INVALID_ARGUMENT', `manifest: ${field} ${problem}`, {
      reason: 'INVALID_MANIFEST',
      fieldViolations: [{ field, description: problem }],
    });
  }
}

/** The store has no such content. */
export class ArtifactNotFoundError extends AppError {
  constructor(what: string) {
    super('NOT_FOUND', `${what} is not in the artifact store`, { reason: 'ARTIFACT_NOT_FOUND' });
  }
}

/** Stored bytes do not have the digest they are stored under. */
export class DigestMismatchError extends AppError {
  constructor(digest: string, actual: string) {
    super('DATA_LOSS', `content stored as ${digest} has digest ${actual}`, {
      reason: 'DIGEST_MISMATCH',
      metadata: { digest, actual },
    });
  }
}

/** Bytes that were handed over do not have the digest that was announced. */
export class UnexpectedDigestError extends AppError {
  constructor(expected: string, actual: string) {
    super('INVALID_ARGUMENT', `the content has digest ${actual}, not ${expected}`, {
      reason: 'UNEXPECTED_DIGEST',
      metadata: { expected, actual },
    });
  }
}

/** More bytes than are accepted. */
export class ArtifactTooLargeError extends AppError {
  constructor(limitBytes: number) {
    super('RESOURCE_EXHAUSTED', `the content has more than ${limitBytes} bytes`, {
      reason: 'ARTIFACT_TOO_LARGE',
      metadata: { limitBytes: String(limitBytes) },
    });
  }
}

/** The disk, or the quota on it, is full. */
export class InsufficientStorageError extends AppError {
  constructor(cause: unknown) {
    super('RESOURCE_EXHAUSTED', 'the artifact store has no space left', {
      reason: 'STORAGE_FULL',
      cause,
    });
  }
}

/** The folder for a manifest's files holds something already. */
export class FolderNotEmptyError extends AppError {
  constructor(folder: string) {
    super('FAILED_PRECONDITION', `folder ${folder} is not empty`, { reason: 'FOLDER_NOT_EMPTY' });
  }
}
