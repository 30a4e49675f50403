/* Base densities of z by their kind: log-densities, distribution functions, quantiles and draws. */
(function (root) {
  "use strict";

  const {
    LOG_2PI, TINY, numbers, clamp, softplus, logSumExp, increasingRoot, ndtr, logNormal, probit,
    studentSides, studentQuantile,
  } = root.pushforward.parts;

  /** Of a distribution function where it is flat. */
  const LEAST_SLOPE = Number.EPSILON ** 4;

  const BASES = {
    normal: () => (z) => z.reduce((sum, value) => sum - 0.5 * (value * value + LOG_2PI), 0),
    logistic: () => (z) => {
      return z.reduce((sum, value) => sum - Math.abs(value) - 2 * Math.log1p(Math.exp(-Math.abs(value))), 0);
    },
    uniform:
      ({ low, high }) =>
      (z) => {
        return z.every((value) => value >= low && value <= high) ? -z.length * Math.log(high - low) : -Infinity;
      },
    student_t(spec) {
      const nu = numbers(spec.degrees_of_freedom);
      const constant = numbers(spec.constant);
      return (z) => {
        return z.reduce(
          (sum, value, d) => sum + constant[d] - ((nu[d] + 1) / 2) * Math.log1p((value * value) / nu[d]),
          0
        );
      };
    },
    mixture(spec) {
      const weights = numbers(spec.log_weights);
      const means = numbers(spec.means);
      const logScales = numbers(spec.log_scales);
      return (z) => {
        const terms = Array.from(weights, (weight, k) => {
          return z.reduce((sum, value, d) => {
            const logScale = logScales[k * z.length + d];
            const standardized = (value - means[k * z.length + d]) * Math.exp(-logScale);
            return sum - 0.5 * standardized * standardized - logScale - 0.5 * LOG_2PI;
          }, weight);
        });
        return logSumExp(terms);
      };
    },
    normal_mixture(spec) {
      const logWeights = numbers(spec.log_weights);
      const means = numbers(spec.means);
      const factors = numbers(spec.factors);
      const size = spec.means.shape[1];
      return (z) => {
        const terms = Array.from(logWeights, (weight, k) => {
          const away = Float64Array.from(z, (value, d) => value - means[k * size + d]);
          return weight + whitened(away, factors, k * size * size);
        });
        return logSumExp(terms);
      };
    },
    kernel_density(spec) {
      const points = numbers(spec.points);
      const factor = numbers(spec.factor);
      const [count, size] = spec.points.shape;
      return (z) => {
        const terms = Array.from({ length: count }, (_, k) =>
          whitened(
            Float64Array.from(z, (value, d) => value - points[k * size + d]),
            factor,
            0
          )
        );
        return logSumExp(terms) - Math.log(count);
      };
    },
  };

  /** log N(away; 0, L Lᵀ) of a lower triangular L that begins somewhere; `away` is solved in place. */
  function whitened(away, factor, start) {
    const size = away.length;
    let sum = 0;
    for (let d = 0; d < size; d++) {
      const own = start + d * size;
      for (let e = 0; e < d; e++) away[d] -= factor[own + e] * away[e];
      away[d] /= factor[own + d];
      sum += logNormal(away[d]) - Math.log(factor[own + d]);
    }
    return sum;
  }

  /** A standard normal number, of uniform ones by the polar method. */
  function normalDraw(random) {
    for (;;) {
      const u = 2 * random() - 1;
      const v = 2 * random() - 1;
      const square = u * u + v * v;
      if (square > 0 && square < 1) return u * Math.sqrt((-2 * Math.log(square)) / square);
    }
  }

  /** A gamma number of a shape above 0 and scale 1: Marsaglia and Tsang 2000. */
  function gammaDraw(shape, random) {
    if (shape < 1) return gammaDraw(shape + 1, random) * (1 - random()) ** (1 / shape);
    const d = shape - 1 / 3;
    for (;;) {
      const x = normalDraw(random);
      const v = (1 + x / Math.sqrt(9 * d)) ** 3;
      if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
    }
  }

  function choice(weights, random) {
    let rest = random() * weights.reduce((sum, weight) => sum + weight, 0);
    let place = 0;
    while (place < weights.length - 1 && rest >= weights[place]) rest -= weights[place++];
    return place;
  }

  /** x + L noise of a lower triangular L that begins somewhere. */
  function spread(center, factor, start, random) {
    const size = center.length;
    const noise = Float64Array.from(center, () => normalDraw(random));
    return center.map((value, d) => {
      for (let e = 0; e <= d; e++) value += factor[start + d * size + e] * noise[e];
      return value;
    });
  }

  const DRAWS = {
    normal: (spec, size, random) => Float64Array.from({ length: size }, () => normalDraw(random)),
    uniform: ({ low, high }, size, random) =>
      Float64Array.from({ length: size }, () => low + (high - low) * random()),
    logistic: (spec, size, random) =>
      Float64Array.from({ length: size }, () => {
        const u = 1 - random();
        return Math.log(u) - Math.log(Math.max(1 - u, TINY));
      }),
    student_t(spec, size, random) {
      return numbers(spec.degrees_of_freedom).map(
        (nu) => normalDraw(random) / Math.sqrt((2 * gammaDraw(nu / 2, random)) / nu)
      );
    },
    mixture(spec, size, random) {
      const k = choice(numbers(spec.log_weights).map(Math.exp), random);
      const means = numbers(spec.means).slice(k * size, (k + 1) * size);
      const logScales = numbers(spec.log_scales);
      return means.map((mean, d) => mean + Math.exp(logScales[k * size + d]) * normalDraw(random));
    },
    normal_mixture(spec, size, random) {
      const k = choice(numbers(spec.log_weights).map(Math.exp), random);
      const mean = numbers(spec.means).slice(k * size, (k + 1) * size);
      return spread(mean, numbers(spec.factors), k * size * size, random);
    },
    kernel_density(spec, size, random) {
      const k = Math.floor(random() * spec.points.shape[0]);
      return spread(numbers(spec.points).slice(k * size, (k + 1) * size), numbers(spec.factor), 0, random);
    },
  };

  /* ---- of one feature ---- */

  /** Weights, centers and deviations of the normal parts of a base. */
  function partsOf(base) {
    if (base.kind === "kernel_density") {
      const points = numbers(base.points);
      const scale = numbers(base.factor)[0];
      return Array.from(points, (center) => ({ weight: 1 / points.length, center, scale }));
    }
    const logWeights = numbers(base.log_weights);
    const means = numbers(base.means);
    const scales = base.kind === "mixture" ? numbers(base.log_scales).map(Math.exp) : numbers(base.factors);
    return Array.from(logWeights, (one, k) => ({ weight: Math.exp(one), center: means[k], scale: scales[k] }));
  }

  /** P(latent ≤ z) and P(latent > z), a function of z. */
  function distribution(base) {
    const kinds = {
      normal: () => (z) => [ndtr(z), ndtr(-z)],
      logistic: () => (z) => [Math.exp(-softplus(-z)), Math.exp(-softplus(z))],
      uniform: () => (z) => {
        const share = clamp((z - base.low) / (base.high - base.low), 0, 1);
        return [share, 1 - share];
      },
      student_t: () => {
        const [nu] = numbers(base.degrees_of_freedom);
        return (z) => studentSides(nu, z);
      },
    };
    if (kinds[base.kind]) return kinds[base.kind]();
    const parts = partsOf(base);
    return (z) => {
      const sums = [0, 0];
      for (const { weight, center, scale } of parts) {
        const away = (z - center) / scale;
        sums[0] += weight * ndtr(away);
        sums[1] += weight * ndtr(-away);
      }
      return sums;
    };
  }

  /** The z below which a share of a base lies. */
  function baseQuantile(base, level) {
    if (base.kind === "normal") return probit(level, 1 - level);
    if (base.kind === "logistic") return Math.log(level) - Math.log1p(-level);
    if (base.kind === "uniform") return base.low + (base.high - base.low) * level;
    if (base.kind === "student_t") return studentQuantile(numbers(base.degrees_of_freedom)[0], level);
    const of = distribution(base);
    const logProb = BASES[base.kind](base);
    const normal = probit(level, 1 - level);
    if (!Number.isFinite(normal)) return normal;
    const ends = partsOf(base).map(({ center, scale }) => center + scale * normal);
    return increasingRoot(
      (z) => [overLevel(of(z), level), Math.max(Math.exp(logProb([z])), LEAST_SLOPE)],
      Math.min(...ends),
      Math.max(...ends)
    );
  }

  /** By how much a distribution function is over a level, from the smaller of the two sides, which has the digits. */
  const overLevel = ([below, above], level) => (level < 0.5 ? below - level : 1 - level - above);

  Object.assign(root.pushforward.parts, { BASES, DRAWS, choice, baseQuantile, distribution, overLevel, LEAST_SLOPE });
})(globalThis);
