/** xorshift32: fast, and the same numbers from a seed on every machine. Not for anything but choosing inputs. */
export class Random {
  private state: number;

  /** @param seed any integer */
  constructor(seed: number) {
    // The finaliser of MurmurHash3 (Appleby, public domain): seeds that differ by one give unlike numbers.
    let x = seed | 0;
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    this.state = (x ^ (x >>> 16)) | 0 || 1;
  }

  /** A whole number from 0 to `below` − 1; 0 when `below` is 0. */
  below(below: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return Math.floor(((x >>> 0) / 2 ** 32) * below);
  }

  /** True one time in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  /** One of the elements of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}
