const SQRT_HALF = Math.SQRT1_2;

// Coefficients of Wichura 1988, algorithm AS 241 (PPND16), highest power first: numerator and denominator
// for the centre, the tails up to r = 5, and beyond.
const CENTRE_NUMERATOR = [
  2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946,
  1971.5909503065513, 133.14166789178438, 3.3871328727963665,
];
const CENTRE_DENOMINATOR = [
  5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751,
  687.1870074920579, 42.31333070160091, 1,
];
const TAIL_NUMERATOR = [
  0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
  5.769497221460691, 4.630337846156546, 1.4234371107496835,
];
const TAIL_DENOMINATOR = [
  1.0507500716444169e-9, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
  1.6763848301838038, 2.053191626637759, 1,
];
const FAR_NUMERATOR = [
  2.0103343992922881e-7, 0.000027115555687434876, 0.0012426609473880784, 0.026532189526576124,
  0.29656057182850487, 1.7848265399172913, 5.463784911164114, 6.657904643501103,
];
const FAR_DENOMINATOR = [
  2.0442631033899397e-15, 1.421511758316446e-7, 0.000018463183175100548, 0.0007868691311456133,
  0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1,
];

function horner(coefficients: readonly number[], x: number): number {
  let value = 0;
  for (let i = 0; i < coefficients.length; i++) value = value * x + (coefficients[i] as number);
  return value;
}

/** Natural logarithm of 0 < x ≤ 1/2 by atanh: 2 Σ f^(2k+1)/(2k+1) with f = (m−1)/(m+1), x = m·2^e. */
function plainLog(x: number): number {
  let m = x;
  let e = 0;
  while (m < SQRT_HALF) {
    m *= 2; // exact
    e -= 1;
  }
  const f = (m - 1) / (m + 1);
  const s = f * f; // ≤ 0.0295, so that s^11 is below one unit in the last place
  let series = 0;
  for (let k = 21; k >= 1; k -= 2) series = series * s + 1 / k;
  return e * Math.LN2 + 2 * f * series;
}

/**
 * The quantile of the standard normal distribution, by + − × ÷ and √ only: every IEEE-754 machine and
 * language gives the same bits, which no libm or vector library promises.
 * @param u  0 < u < 1
 * @see Wichura 1988, Applied Statistics 37(3), algorithm AS 241, PPND16; relative error about 1e-16
 */
export function inverseNormal(u: number): number {
  const q = u - 0.5;
  if (q >= -0.425 && q <= 0.425) {
    const r = 0.180625 - q * q;
    return (q * horner(CENTRE_NUMERATOR, r)) / horner(CENTRE_DENOMINATOR, r);
  }
  const r = Math.sqrt(-plainLog(q < 0 ? u : 1 - u));
  const z =
    r <= 5
      ? horner(TAIL_NUMERATOR, r - 1.6) / horner(TAIL_DENOMINATOR, r - 1.6)
      : horner(FAR_NUMERATOR, r - 5) / horner(FAR_DENOMINATOR, r - 5);
  return q < 0 ? -z : z;
}
