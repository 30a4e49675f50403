/* Bijections by their kind: each gives apply(row, context, backwards), which maps a row in place and returns log_det. */
(function (root) {
  "use strict";

  const {
    numbers, softplus, clamp, increasingRoot, TINY, Network, amortized, out, piece, UNIVARIATES,
  } = root.pushforward.parts;

  const aboveMinusOne = (value) => softplus(value) - (1 - 8 * Number.EPSILON);

  /** s + factor · tanh(s) = right. */
  function tanhRoot(right, factor) {
    const reach = 1.125 * Math.abs(factor);
    const excess = (s) => {
      const h = Math.tanh(s);
      return [s + factor * h - right, 1 + factor * (1 - h * h)];
    };
    return increasingRoot(excess, right - reach, right + reach);
  }

  const BIJECTIONS = {
    affine(spec) {
      const shift = numbers(spec.shift);
      const scale = numbers(spec.scale);
      const logDet = scale.reduce((sum, one) => sum + Math.log(one), 0);
      return (row, context, backwards) => {
        for (let d = 0; d < row.length; d++) {
          row[d] = backwards ? (row[d] - shift[d]) / scale[d] : shift[d] + scale[d] * row[d];
        }
        return backwards ? -logDet : logDet;
      };
    },

    /** x = matrix z + shift. */
    linear(spec) {
      const matrices = [numbers(spec.matrix), numbers(spec.inverse)];
      const shift = numbers(spec.shift);
      const size = shift.length;
      return (row, context, backwards) => {
        const before = Float64Array.from(row, (value, d) => (backwards ? value - shift[d] : value));
        const values = matrices[backwards ? 1 : 0];
        for (let d = 0; d < size; d++) {
          row[d] = backwards ? 0 : shift[d];
          for (let e = 0; e < size; e++) row[d] += values[d * size + e] * before[e];
        }
        return backwards ? -spec.log_det : spec.log_det;
      };
    },

    autoregressive(spec) {
      const network = new Network(spec.network);
      const map = UNIVARIATES[spec.univariate.kind](spec.univariate);
      return (row, context, backwards) => {
        // The network reads x, which is known from the start in one direction and found on the way in the other.
        const known = backwards ? Float64Array.from(row) : row;
        network.begin(known, context);
        let logDet = 0;
        spec.order.forEach((feature, place) => {
          map(row[feature], network.of(feature, known), backwards);
          row[feature] = out[0];
          logDet += out[1];
          network.advance(place + 1, known);
        });
        return logDet;
      };
    },

    coupling(spec) {
      const network = new Network(spec.network);
      const map = UNIVARIATES[spec.univariate.kind](spec.univariate);
      const known = new Float64Array(spec.identity.length);
      return (row, context, backwards) => {
        spec.identity.forEach((feature, place) => (known[place] = row[feature]));
        network.begin(known, context);
        let logDet = 0;
        spec.transformed.forEach((feature, place) => {
          map(row[feature], network.of(place, known), backwards);
          row[feature] = out[0];
          logDet += out[1];
        });
        return logDet;
      };
    },

    /** A fixed spline for each feature, with exponential tails, or tails that approach a bound. */
    marginal(spec) {
      const [LONGEST, NEAREST, ON_BOUND] = [60, 1e-12, 0.5];
      const knots = spec.z_knots.shape[1];
      const z = numbers(spec.z_knots);
      const x = numbers(spec.x_knots);
      const slopes = numbers(spec.slopes);
      const low = numbers(spec.low);
      const high = numbers(spec.high);
      return (row, context, backwards) => {
        let logDet = 0;
        for (let d = 0; d < row.length; d++) {
          const start = d * knots;
          const last = start + knots - 1;
          const ends = backwards ? x : z;
          const inside = clamp(row[d], ends[start], ends[last]);
          let bin = start;
          let end = last - 1;
          while (bin < end) {
            const middle = (bin + end + 1) >> 1;
            if (ends[middle] <= inside) bin = middle;
            else end = middle - 1;
          }
          piece(inside, z[bin], z[bin + 1], x[bin], x[bin + 1], slopes[bin], slopes[bin + 1], backwards);
          const outside = row[d] - inside;
          if (outside !== 0) {
            const edge = outside < 0 ? start : last;
            const bound = outside < 0 ? low && low[d] : high && high[d];
            if (Number.isFinite(bound)) towardBound(row[d], bound, edge, outside, backwards);
            else beyond(outside, slopes[edge], backwards);
          }
          row[d] = out[0];
          logDet += out[1];
        }
        return logDet;
      };

      function beyond(outside, slope, backwards) {
        const distance = Math.abs(outside);
        if (backwards) {
          const curved = Math.min(Math.log1p(distance / slope), LONGEST);
          const straight = Math.max(distance / slope - Math.expm1(LONGEST), 0) * Math.exp(-LONGEST);
          out[0] += Math.sign(outside) * (curved + straight);
          out[1] -= curved;
        } else {
          const curved = Math.min(distance, LONGEST);
          const straight = Math.max(distance - LONGEST, 0) * Math.exp(LONGEST);
          out[0] += Math.sign(outside) * slope * (Math.expm1(curved) + straight);
          out[1] += curved;
        }
      }

      function towardBound(value, bound, edge, outside, backwards) {
        const side = outside < 0 ? 1 : -1;
        const room = side * (x[edge] - bound);
        if (backwards) {
          const share = (side * (value - bound)) / room;
          const left = Math.log(share === 0 ? ON_BOUND : Math.max(share, NEAREST));
          out[0] = z[edge] + (side * left * room) / slopes[edge];
          out[1] -= left;
        } else {
          const steepness = Math.max((-Math.abs(outside) * slopes[edge]) / room, -700);
          out[0] = bound + side * room * Math.exp(steepness);
          out[1] += steepness;
        }
      }
    },

    planar(spec) {
      const given = amortized(spec.parameters);
      const negative = spec.negative_slope;
      const h = negative === null ? Math.tanh : (s) => (s > 0 ? s : negative * s);
      const slope = negative === null ? (s) => 1 - Math.tanh(s) ** 2 : (s) => (s > 0 ? 1 : negative);
      return (row, context, backwards) => {
        const found = given(context);
        const size = row.length;
        const w = found.slice(size, 2 * size);
        const wu = w.reduce((sum, one, d) => sum + one * found[d], 0);
        const ww = w.reduce((sum, one) => sum + one * one, 0);
        const flat = ww < TINY;
        const product = flat ? 0 : aboveMinusOne(wu);
        let s = w.reduce((sum, one, d) => sum + one * row[d], found[2 * size]);
        if (backwards) s = negative === null ? tanhRoot(s, product) : s / (1 + product * (s > 0 ? 1 : negative));
        const moved = (backwards ? -1 : 1) * h(s);
        for (let d = 0; d < size; d++) row[d] += (found[d] + ((product - wu) * w[d]) / (flat ? 1 : ww)) * moved;
        const logDet = Math.log1p(product * slope(s));
        return backwards ? -logDet : logDet;
      };
    },

    radial(spec) {
      const given = amortized(spec.parameters);
      return (row, context, backwards) => {
        const found = given(context);
        const size = row.length;
        const alpha = softplus(found[size]) + 8 * Number.EPSILON;
        const slope = softplus(found[size + 1]) + 8 * Number.EPSILON;
        const distance = Math.hypot(...row.map((value, d) => value - found[d]));
        let r = distance;
        if (backwards) {
          const half = (distance - slope) / 2;
          const root = Math.sqrt(half * half + alpha * distance);
          r = half > 0 ? half + root : (alpha * distance) / (root - half);
        }
        const stretch = backwards ? (alpha + r) / (slope + r) : (slope + r) / (alpha + r);
        for (let d = 0; d < size; d++) row[d] = found[d] + (row[d] - found[d]) * stretch;
        const across = Math.log((slope + r) / (alpha + r));
        const along = Math.log(r * r + 2 * alpha * r + alpha * slope) - 2 * Math.log(alpha + r);
        const logDet = (size - 1) * across + along;
        return backwards ? -logDet : logDet;
      };
    },

    /** x = z + Q R tanh(S Qᵀz + b). */
    sylvester(spec) {
      const given = amortized(spec.parameters);
      const rank = spec.rank;
      const above = (rank * (rank - 1)) / 2;
      return (row, context, backwards) => {
        const found = given(context);
        const size = row.length;
        let start = 0;
        const [vectors, outer, inner, logInner, rho, b] = [rank * size, above, above, rank, rank, rank].map((count) => {
          start += count;
          return found.slice(start - count, start);
        });
        const place = (i, j) => i * rank - (i * (i + 1)) / 2 + j - i - 1;
        const products = rho.map(aboveMinusOne);
        const s = (i, j) => (i === j ? Math.exp(logInner[i]) : inner[place(i, j)]);
        const r = (i, j) => (i === j ? products[i] / Math.exp(logInner[i]) : outer[place(i, j)]);
        const columns = Array.from({ length: rank }, (_, k) => row.map((_, d) => (d === k ? 1 : 0)));
        for (let m = rank - 1; m >= 0; m--) {
          const vector = vectors.slice(m * size, (m + 1) * size);
          const squared = vector.reduce((sum, one) => sum + one * one, 0);
          if (squared < TINY) continue;
          columns.forEach((column) => {
            const across = (2 / squared) * vector.reduce((sum, one, d) => sum + one * column[d], 0);
            for (let d = 0; d < size; d++) column[d] -= across * vector[d];
          });
        }
        const y = columns.map((column) => column.reduce((sum, one, d) => sum + one * row[d], 0));
        const h = new Float64Array(rank);
        let logDet = 0;
        for (let i = rank - 1; i >= 0; i--) {
          let shift = b[i];
          let target = y[i];
          for (let j = i + 1; j < rank; j++) {
            shift += s(i, j) * y[j];
            target -= r(i, j) * h[j];
          }
          h[i] = Math.tanh(backwards ? tanhRoot(s(i, i) * target + shift, products[i]) : s(i, i) * y[i] + shift);
          if (backwards) y[i] = target - r(i, i) * h[i];
          logDet += Math.log1p(products[i] * (1 - h[i] * h[i]));
        }
        for (let i = 0; i < rank; i++) {
          let push = 0;
          for (let j = i; j < rank; j++) push += r(i, j) * h[j];
          for (let d = 0; d < size; d++) row[d] += (backwards ? -1 : 1) * columns[i][d] * push;
        }
        return backwards ? -logDet : logDet;
      };
    },
  };

  Object.assign(root.pushforward.parts, { BIJECTIONS });
})(globalThis);
