import { splitOf, type TextSplit } from './split.js';

/** Words in a row that count as copied text. @see Brown et al. 2020, arXiv:2005.14165, appendix C */
export const OVERLAP_NGRAM = 13;

/** How much of a held-out split can be read in the training split. */
export interface Overlap {
  /** Different n-grams of the held-out split. */
  readonly heldOutNgrams: number;
  /** Those that the training split has too. */
  readonly overlapping: number;
  /** overlapping / heldOutNgrams; 0 when there are none. */
  readonly fraction: number;
}

const PARAGRAPH_END = /(?<=\n[^\S\n]*\n)/;

/** Words for comparison: lower case, letters and digits only. */
function words(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** Every n-gram of the documents, as text; n-grams do not cross documents. */
function* ngrams(documents: Iterable<string>, n: number): Generator<string> {
  for (const document of documents) {
    const list = words(document);
    for (let i = 0; i + n <= list.length; i++) yield list.slice(i, i + n).join(' ');
  }
}

/**
 * The n-grams of `heldOut` that also occur in `train`. Memory grows with the held-out split only.
 * @param n  words per n-gram, default 13
 */
export function ngramOverlap(train: TextSplit, heldOut: TextSplit, n: number = OVERLAP_NGRAM): Overlap {
  const heldOutNgrams = new Set(ngrams(heldOut.documents, n)).size;
  const overlapping = sharedNgrams(heldOut, train, n).size;
  return { heldOutNgrams, overlapping, fraction: heldOutNgrams === 0 ? 0 : overlapping / heldOutNgrams };
}

/** What `removeOverlap` left, and how much went. */
export interface Decontaminated {
  readonly split: TextSplit;
  readonly removedBytes: number;
}

/**
 * `heldOut` without the paragraphs that share an n-gram with `train`, wholly or in part; afterwards
 * `ngramOverlap` is 0. Paragraphs end at blank lines.
 * @param n  words per n-gram, default 13
 */
export function removeOverlap(
  heldOut: TextSplit,
  train: TextSplit,
  n: number = OVERLAP_NGRAM,
): Decontaminated {
  let split = heldOut;
  // Joining what is left can form new n-grams across a removed paragraph, so repeat until nothing changes.
  for (let before = -1; before !== split.sizeBytes; ) {
    before = split.sizeBytes;
    const copied = sharedNgrams(split, train, n);
    if (copied.size === 0) break;
    const documents = split.documents.map((document) => dropCopied(document, copied, n));
    split = splitOf(
      heldOut.name,
      documents.filter((document) => document.trim() !== ''),
    );
  }
  return { split, removedBytes: heldOut.sizeBytes - split.sizeBytes };
}

function sharedNgrams(heldOut: TextSplit, train: TextSplit, n: number): Set<string> {
  const wanted = new Set(ngrams(heldOut.documents, n));
  const shared = new Set<string>();
  for (const ngram of ngrams(train.documents, n)) if (wanted.has(ngram)) shared.add(ngram);
  return shared;
}

/** The document without every paragraph that a copied n-gram touches. */
function dropCopied(document: string, copied: ReadonlySet<string>, n: number): string {
  const paragraphs = document.split(PARAGRAPH_END);
  const list: string[] = [];
  const paragraphOfWord: number[] = [];
  paragraphs.forEach((paragraph, index) => {
    for (const word of words(paragraph)) {
      list.push(word);
      paragraphOfWord.push(index);
    }
  });
  const dropped = new Set<number>();
  for (let i = 0; i + n <= list.length; i++) {
    if (!copied.has(list.slice(i, i + n).join(' '))) continue;
    for (let word = i; word < i + n; word++) dropped.add(paragraphOfWord[word] ?? -1);
  }
  return paragraphs.filter((_, index) => !dropped.has(index)).join('');
}
