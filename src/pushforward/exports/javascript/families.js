/* Maps of one number: they set out[0] to the mapped value and out[1] to the logarithm of the derivative. */
(function (root) {
  "use strict";

  const { numbers, softplus, clamp, logSumExp, logAddExp, increasingRoot } = root.pushforward.parts;

  const out = new Float64Array(2);

  function affine(spec, relative) {
    const bound = spec.log_scale_bound;
    return (value, parameters, backwards) => {
      const shift = parameters[0];
      const logScale = (Math.atan((parameters[1] * Math.PI) / (2 * bound)) * 2 * bound) / Math.PI;
      const scale = Math.exp(logScale);
      if (relative) out[0] = backwards ? value / scale - shift : scale * (value + shift);
      else out[0] = backwards ? (value - shift) / scale : shift + scale * value;
      out[1] = backwards ? -logScale : logScale;
    };
  }

  /** The piece of a rational quadratic spline between two knots: x from z, or z from x. */
  function piece(value, left, right, bottom, top, a, b, backwards) {
    const width = right - left;
    const height = top - bottom;
    const s = height / width;
    const rise = (theta) => {
      const rest = 1 - theta;
      return (s * theta * theta + a * theta * rest) / (s * (theta * theta + rest * rest) + (a + b) * theta * rest);
    };
    const logSlope = (theta) => {
      const rest = 1 - theta;
      const both = theta * rest;
      const denominator = s * (theta * theta + rest * rest) + (a + b) * both;
      return Math.log(b * theta * theta + 2 * s * both + a * rest * rest) + 2 * Math.log(s / denominator);
    };
    if (!backwards) {
      const theta = (value - left) / width;
      out[0] = bottom + height * rise(theta);
      out[1] = logSlope(theta);
      return;
    }
    // A quadratic in θ, seen from the end of the piece where no difference is taken under the root; one Newton step.
    const whole = (value - bottom) / height;
    const bend = a + b - 2 * s;
    let share = whole;
    let q = a - whole * bend;
    const other = q > s;
    if (other) {
      share = 1 - whole;
      q = b - share * bend;
    }
    const square = Math.sqrt(q * q + 4 * (s - q) * s * share);
    let theta = q >= 0 ? (2 * s * share) / (q + square) : (square - q) / (2 * (s - q));
    theta = clamp(other ? 1 - theta : theta, 0, 1);
    theta = clamp(theta - (rise(theta) - whole) / Math.exp(logSlope(theta) - Math.log(s)), 0, 1);
    out[0] = left + width * theta;
    out[1] = -logSlope(theta);
  }

  function spline(spec) {
    const { bins, bound, tails } = spec;
    const smallest = Math.min(1e-3, 0.5 / bins);
    const z = new Float64Array(bins + 1);
    const x = new Float64Array(bins + 1);
    const slopes = new Float64Array(bins + 1);
    function positions(knots, parameters, start) {
      let largest = -Infinity;
      for (let bin = 0; bin < bins; bin++) largest = Math.max(largest, parameters[start + bin]);
      let total = 0;
      for (let bin = 0; bin < bins; bin++) total += Math.exp(parameters[start + bin] - largest);
      let sum = 0;
      knots[0] = -bound;
      for (let bin = 0; bin < bins; bin++) {
        sum += smallest + (1 - bins * smallest) * (Math.exp(parameters[start + bin] - largest) / total);
        knots[bin + 1] = bound * (2 * sum - 1);
      }
      knots[bins] = bound;
    }
    return (value, parameters, backwards) => {
      positions(z, parameters, 0);
      positions(x, parameters, bins);
      const slope = (place) => positiveSlope(parameters[2 * bins + place]);
      for (let knot = 1; knot < bins; knot++) slopes[knot] = slope(tails === "identity" ? knot - 1 : knot);
      slopes[0] = tails === "identity" ? 1 : slope(0);
      slopes[bins] = tails === "identity" ? 1 : tails === "circular" ? slopes[0] : slope(bins);
      let inside = clamp(value, -bound, bound);
      let outside = value - inside;
      if (tails === "circular") {
        outside = Math.floor((value + bound) / (2 * bound)) * 2 * bound;
        inside = clamp(value - outside, -bound, bound);
      }
      const ends = backwards ? x : z;
      let bin = 0;
      while (bin < bins - 1 && inside >= ends[bin + 1]) bin++;
      piece(inside, z[bin], z[bin + 1], x[bin], x[bin + 1], slopes[bin], slopes[bin + 1], backwards);
      if (tails === "linear") {
        const end = outside < 0 ? slopes[0] : slopes[bins];
        outside = backwards ? outside / end : outside * end;
      }
      out[0] += outside;
    };
  }

  const LEAST_SLOPE = 1e-3;
  const SLOPE_SHIFT = Math.log(Math.expm1(1 - LEAST_SLOPE));
  const positiveSlope = (value) => LEAST_SLOPE + softplus(value + SLOPE_SHIFT);
  const softBound = (value, bound) => (Math.atan((value * Math.PI) / (2 * bound)) * 2 * bound) / Math.PI;

  function sinhArcsinh(spec) {
    const logCosh = (angle) => angle + softplus(-2 * angle);
    return (value, parameters, backwards) => {
      const shift = parameters[0];
      const logScale = softBound(parameters[1], spec.log_scale_bound);
      const skew = softBound(parameters[2], spec.log_scale_bound);
      const logTail = softBound(parameters[3], spec.log_tail_bound);
      const stretched = backwards
        ? Math.asinh((value - shift) * Math.exp(-logScale))
        : (Math.asinh(value) + skew) * Math.exp(-logTail);
      const angle = backwards ? Math.exp(logTail) * stretched - skew : Math.asinh(value);
      const term = logScale - logTail + logCosh(stretched) - logCosh(angle);
      out[0] = backwards ? Math.sinh(angle) : shift + Math.exp(logScale) * Math.sinh(stretched);
      out[1] = backwards ? -term : term;
    };
  }

  /** z = shift + exp(log_scale) · logit(F(x)), F the distribution function of a mixture of logistic distributions. */
  function logisticMixture(spec) {
    const count = spec.components;
    const starts = Array.from({ length: count }, (_, k) => 2 * ((2 * k + 1) / count - 1));
    const usual = starts.reduce((sum, start) => sum + Math.cosh(start / 4) ** -2, 0) / count / 2;
    return (value, parameters, backwards) => {
      const part = (first) => Array.from({ length: count }, (_, k) => parameters[first + k]);
      const shift = parameters[0];
      const logScale = softBound(parameters[1], spec.log_scale_bound) - Math.log(usual);
      const logits = part(2);
      const total = logSumExp(logits);
      const centers = part(2 + count).map((moved, k) => moved + starts[k]);
      const logScales = part(2 + 2 * count).map((one) => softBound(one, spec.log_scale_bound) + Math.LN2);
      const logit = (x) => {
        const u = centers.map((center, k) => (x - center) * Math.exp(-logScales[k]));
        const below = u.map((one, k) => logits[k] - total - softplus(-one));
        const above = u.map((one, k) => logits[k] - total - softplus(one));
        const logCdf = logSumExp(below);
        const logRest = logSumExp(above);
        const slope = logAddExp(
          logSumExp(u.map((one, k) => below[k] - logCdf - softplus(one) - logScales[k])),
          logSumExp(u.map((one, k) => above[k] - logRest - softplus(-one) - logScales[k]))
        );
        return [logCdf - logRest, slope];
      };
      if (backwards) {
        const [found, slope] = logit(value);
        out[0] = shift + Math.exp(logScale) * found;
        out[1] = logScale + slope;
        return;
      }
      const target = (value - shift) * Math.exp(-logScale);
      const ends = centers.map((center, k) => center + Math.exp(logScales[k]) * target);
      const sizes = centers.map((center, k) => Math.abs(center) + Math.exp(logScales[k]) * (1 + Math.abs(target)));
      const room = 64 * Number.EPSILON * Math.max(...sizes);
      const excess = (x) => {
        const [found, slope] = logit(x);
        return [found - target, Math.max(Math.exp(slope), Number.EPSILON)];
      };
      out[0] = increasingRoot(excess, Math.min(...ends) - room, Math.max(...ends) + room);
      out[1] = -(logScale + logit(out[0])[1]);
    };
  }

  /** Families that are given on a box, from data to latent, [z, log ∂z/∂x], with straight lines outside. */
  function withinBox(within) {
    return (spec) => {
      const bound = spec.bound;
      const inside = within(spec);
      return (value, parameters, backwards) => {
        const at = inside(parameters);
        if (backwards) {
          const nearest = clamp(value, -bound, bound);
          const [z, logSlope] = at(nearest);
          out[0] = z + (value - nearest) * Math.exp(logSlope);
          out[1] = logSlope;
          return;
        }
        const nearest = clamp(value, at(-bound)[0], at(bound)[0]);
        const excess = (x) => {
          const [z, logSlope] = at(x);
          return [z - nearest, Math.exp(logSlope)];
        };
        const x = increasingRoot(excess, -bound, bound);
        const logSlope = at(x)[1];
        out[0] = x + (value - nearest) * Math.exp(-logSlope);
        out[1] = -logSlope;
      };
    };
  }

  const bernstein = withinBox(({ degree, bound }) => (parameters) => {
    const slopes = Array.from({ length: degree }, (_, k) => positiveSlope(parameters[1 + k]));
    const steps = slopes.map((slope) => ((2 * bound) / degree) * slope);
    const coefficients = [-steps.reduce((sum, step) => sum + step, 0) / 2];
    steps.forEach((step) => coefficients.push(coefficients[coefficients.length - 1] + step));
    const shift = parameters[0];
    return (x) => {
      const t = (x + bound) / (2 * bound);
      let basis = [1];
      for (let size = 1; size < degree; size++) basis = raised(basis, t);
      const slope = slopes.reduce((sum, one, k) => sum + one * basis[k], 0);
      const z = raised(basis, t).reduce((sum, one, k) => sum + one * coefficients[k], shift);
      return [z, Math.log(slope)];
    };
  });

  function raised(basis, t) {
    return [...basis, 0].map((one, k) => (1 - t) * one + (k > 0 ? t * basis[k - 1] : 0));
  }

  const sumOfSquares = withinBox(({ polynomials, degree, bound, starts }) => (parameters) => {
    const size = degree + 1;
    const first = numbers(starts);
    const a = Array.from({ length: polynomials * size }, (_, k) => parameters[1 + k] + first[k]);
    const shift = parameters[0];
    return (x) => {
      let integral = 0;
      let slope = 0;
      for (let k = 0; k < polynomials; k++) {
        const terms = Array.from({ length: size }, (_, j) => a[k * size + j] * (x / bound) ** j);
        terms.forEach((one, i) => terms.forEach((other, j) => (integral += (one * other) / (i + j + 1))));
        slope += terms.reduce((sum, term) => sum + term, 0) ** 2;
      }
      const z = shift + x * (LEAST_SLOPE + (1 - LEAST_SLOPE) * integral);
      return [z, Math.log(LEAST_SLOPE + (1 - LEAST_SLOPE) * slope)];
    };
  });

  const monotoneNetwork = withinBox(({ units, bound, nodes, weights }) => {
    const places = numbers(nodes);
    const shares = numbers(weights);
    return (parameters) => {
      const part = (first) => Array.from({ length: units }, (_, h) => parameters[first + h]);
      const raw = part(2);
      const length = Math.sqrt(1 + raw.reduce((sum, one) => sum + one * one, 0));
      const w = raw.map((one) => ((6 / Math.sqrt(units)) * one) / length);
      const centers = part(2 + units).map((one, h) => (2 * h + 1) / units - 1 + softBound(one, 1));
      const steepness = part(2 + 2 * units).map((one) => 3 * Math.exp(softBound(one, Math.LN2)));
      const logScale = softBound(parameters[1], Math.log(1e3));
      const shift = parameters[0];
      return (x) => {
        let sum = 0;
        let rise = 0;
        places.forEach((place, node) => {
          const at = (x / bound) * (place + 0.5);
          let g = 0;
          let growth = 0;
          for (let h = 0; h < units; h++) {
            const active = Math.tanh(steepness[h] * (at - centers[h]));
            g += w[h] * active;
            growth += w[h] * steepness[h] * (1 - active * active);
          }
          const slope = shares[node] * Math.exp(g);
          sum += slope;
          rise += slope * (1 + at * growth);
        });
        return [shift + Math.exp(logScale) * x * sum, logScale + Math.log(rise)];
      };
    };
  });

  const UNIVARIATES = {
    additive: () => (value, parameters, backwards) => {
      out[0] = backwards ? value - parameters[0] : value + parameters[0];
      out[1] = 0;
    },
    affine: (spec) => affine(spec, false),
    relative_affine: (spec) => affine(spec, true),
    spline,
    sinh_arcsinh: sinhArcsinh,
    logistic_mixture: logisticMixture,
    bernstein,
    sum_of_squares: sumOfSquares,
    monotone_network: monotoneNetwork,
  };

  Object.assign(root.pushforward.parts, { out, piece, UNIVARIATES });
})(globalThis);
