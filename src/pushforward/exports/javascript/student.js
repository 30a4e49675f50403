/* Student's t distribution: tails by the continued fraction of the incomplete beta function, DLMF 8.17.22. */
(function (root) {
  "use strict";

  const { increasingRoot, TINY } = root.pushforward.parts;

  /** Beyond it the square of a number is the same as one more than it. */
  const FAR = 1e8;
  const MOST_TERMS = 100000;

  /** log Γ(a + 1/2) - log Γ(a): by its series far out, to which a recursion leads. */
  function logGammaRatio(a) {
    let sum = 0;
    for (; a < 20; a++) sum -= Math.log1p(0.5 / a);
    const square = 1 / (a * a);
    const series = 1 / 8 - (1 / 192 - (1 / 640 - (17 / 14336) * square) * square) * square;
    return sum + 0.5 * Math.log(a) - series / a;
  }

  /** a B(a, b) x⁻ᵃ (1 - x)⁻ᵇ I_x(a, b) of x below (a + 1) / (a + b + 2), by the method of Lentz. */
  function betaFraction(a, b, x) {
    const safe = (value) => (Math.abs(value) < TINY ? TINY : value);
    let c = 1;
    let d = 1 / safe(1 - ((a + b) * x) / (a + 1));
    let found = d;
    for (let m = 1; m < MOST_TERMS; m++) {
      const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
      const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
      let change = 1;
      for (const term of [even, odd]) {
        d = 1 / safe(1 + term * d);
        c = safe(1 + term / c);
        change = c * d;
        found *= change;
      }
      if (Math.abs(change - 1) < Number.EPSILON) break;
    }
    return found;
  }

  /** P(T > t) of t ≥ 0 with nu degrees of freedom: I_x(nu / 2, 1/2) / 2 of x = nu / (nu + t²). */
  function upperTail(nu, t) {
    const a = nu / 2;
    const u = t / Math.sqrt(nu);
    const x = 1 / (1 + u * u);
    const logU = Math.log(t) - 0.5 * Math.log(nu);
    const logX = u < FAR ? -Math.log1p(u * u) : -2 * logU;
    const factor = Math.exp(a * logX + logU + 0.5 * logX + logGammaRatio(a) - 0.5 * Math.log(Math.PI));
    if (x < (a + 1) / (a + 2.5)) return (0.5 * factor * betaFraction(a, 0.5, x)) / a;
    return 0.5 - factor * betaFraction(0.5, a, u * u * x);
  }

  /** P(T ≤ t) and P(T > t). */
  function studentSides(nu, t) {
    const tail = upperTail(nu, Math.abs(t));
    return t < 0 ? [tail, 1 - tail] : [1 - tail, tail];
  }

  /** The t below which a share of the distribution lies, from the smaller of the two sides, which has the digits. */
  function studentQuantile(nu, level) {
    const tail = Math.min(level, 1 - level);
    const sign = level < 0.5 ? -1 : 1;
    if (tail === 0) return sign * Infinity;
    let high = 1;
    while (high < Infinity && upperTail(nu, high) > tail) high *= 2;
    if (high === Infinity) return sign * Infinity;
    const logConstant = logGammaRatio(nu / 2) - 0.5 * Math.log(Math.PI * nu);
    const slope = (t) => Math.exp(logConstant - ((nu + 1) / 2) * Math.log1p((t * t) / nu));
    const excess = (t) => [tail - studentSides(nu, t)[1], Math.max(slope(t), TINY)];
    return sign * increasingRoot(excess, high > 1 ? high / 2 : 0, high);
  }

  Object.assign(root.pushforward.parts, { studentSides, studentQuantile });
})(globalThis);
