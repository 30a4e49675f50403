/* Flows in a browser or in Node, without dependencies: forward (z → x) and inverse (x → z) with log_det, step by step.
 *
 * A flow is read from the JSON that `pushforward.store.javascript.flow_as_json` writes. Every number is a double here;
 * the weights are those of the model. A row is an array of D numbers, a context one of C.
 *
 *     const flow = pushforward.read(JSON.parse(text));
 *     flow.logProb([0.3, -1.2]);
 *     flow.forward([0, 0]);             // {value: [...], logDet: ...}
 *     flow.through(row, 0, 3);          // moves `row` through the first three steps, in place; returns log_det
 */
(function (root) {
  "use strict";

  const VERSION = 1;
  const LOG_2PI = Math.log(2 * Math.PI);

  /* ---- numbers ---- */

  /** Arrays travel as base64 of their little-endian bytes: {shape, f4} or {shape, f8}; whole numbers as plain lists. */
  function numbers(packed) {
    if (packed === null || packed === undefined) return null;
    if (Array.isArray(packed)) return Float64Array.from(packed);
    const bytes = Uint8Array.from(atob(packed.f4 || packed.f8 || ""), (character) => character.charCodeAt(0));
    const found = packed.f4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
    return Float64Array.from(found);
  }

  /** A matrix by rows, and up to which column each row has entries: half of a masked matrix is never multiplied. */
  function matrix(packed) {
    if (packed === null || packed === undefined) return null;
    const values = numbers(packed);
    const [rows, columns] = packed.shape;
    const reach = new Int32Array(rows);
    for (let row = 0; row < rows; row++) {
      let end = columns;
      while (end > 0 && values[row * columns + end - 1] === 0) end--;
      reach[row] = end;
    }
    return { values, rows, columns, reach };
  }

  function dot(weight, row, vector) {
    const { values, columns, reach } = weight;
    const start = row * columns;
    let sum = 0;
    for (let column = 0; column < reach[row]; column++) sum += values[start + column] * vector[column];
    return sum;
  }

  const softplus = (value) => Math.max(value, 0) + Math.log1p(Math.exp(-Math.abs(value)));
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  /* ---- networks ---- */

  const ACTIVATIONS = {
    relu: (value) => (value > 0 ? value : 0),
    elu: (value) => (value > 0 ? value : Math.expm1(value)),
    silu: (value) => value / (1 + Math.exp(-value)),
    tanh: Math.tanh,
  };

  /**
   * The network of a coupling or an autoregressive layer.
   *
   * Hidden units have degrees: those of degree d are computed by `advance(d)`, when the first d features are known.
   * So one pass serves both directions of an autoregressive layer. In a coupling layer all degrees are 0.
   */
  class Network {
    constructor(spec) {
      this.count = spec.parameter_count;
      this.layers = spec.layers.map((layer) => ({ ...layer, weight: matrix(layer.weight), bias: numbers(layer.bias) }));
      this.hidden = this.layers.length - 1;
      this.last = this.layers[this.hidden];
      this.context = matrix(spec.context);
      this.direct = matrix(spec.direct);
      this.directContext = matrix(spec.direct_context);
      this.activation = ACTIVATIONS[spec.activation];
      this.raw = this.layers.slice(0, -1).map((layer) => new Float64Array(layer.bias.length));
      this.activated = this.raw.map((units) => new Float64Array(units.length));
      this.groups = this.raw.map((units, layer) => {
        const groups = [];
        for (let unit = 0; unit < units.length; unit++) {
          const degree = spec.degrees ? spec.degrees[layer][unit] : 0;
          (groups[degree] = groups[degree] || []).push(unit);
        }
        return groups;
      });
      this.parameters = new Float64Array(this.count);
      this.added = this.context && new Float64Array(this.context.rows);
      this.addedDirectly = this.directContext && new Float64Array(this.directContext.rows);
    }

    begin(known, context) {
      if (this.context) {
        for (let unit = 0; unit < this.added.length; unit++) this.added[unit] = dot(this.context, unit, context);
      }
      if (this.directContext) {
        for (let unit = 0; unit < this.addedDirectly.length; unit++) {
          this.addedDirectly[unit] = dot(this.directContext, unit, context);
        }
      }
      this.advance(0, known);
    }

    advance(degree, known) {
      for (let index = 0; index < this.hidden; index++) {
        const { weight, bias, skip } = this.layers[index];
        const below = index === 0 ? known : this.activated[index - 1];
        for (const unit of this.groups[index][degree] || []) {
          let sum = bias[unit] + (weight ? dot(weight, unit, below) : 0);
          if (index === 0 && this.added) sum += this.added[unit];
          if (skip !== null) sum += this.raw[skip][unit];
          this.raw[index][unit] = sum;
          this.activated[index][unit] = this.activation(sum);
        }
      }
    }

    /** The parameters of one output; the array is used again by the next call. */
    of(output, known) {
      const { weight, bias } = this.last;
      const below = this.hidden === 0 ? known : this.activated[this.hidden - 1];
      for (let parameter = 0; parameter < this.count; parameter++) {
        const row = output * this.count + parameter;
        let sum = bias[row] + (weight ? dot(weight, row, below) : 0);
        if (this.hidden === 0 && this.added) sum += this.added[row];
        if (this.direct) sum += dot(this.direct, row, known);
        if (this.addedDirectly) sum += this.addedDirectly[row];
        this.parameters[parameter] = sum;
      }
      return this.parameters;
    }
  }

  /* ---- maps of one number: they set out[0] to the mapped value and out[1] to the logarithm of the derivative ---- */

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
    const { bins, bound, tails, smallest_bin: smallest, smallest_slope: leastSlope, slope_shift: slopeShift } = spec;
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
      const slope = (place) => leastSlope + softplus(parameters[2 * bins + place] + slopeShift);
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

  const UNIVARIATES = {
    additive: () => (value, parameters, backwards) => {
      out[0] = backwards ? value - parameters[0] : value + parameters[0];
      out[1] = 0;
    },
    affine: (spec) => affine(spec, false),
    relative_affine: (spec) => affine(spec, true),
    spline,
  };

  /* ---- bijections: apply(row, context, backwards) maps a row in place and returns log_det ---- */

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

    permutation(spec) {
      const source = spec.source;
      return (row, context, backwards) => {
        const before = Float64Array.from(row);
        for (let d = 0; d < row.length; d++) {
          if (backwards) row[source[d]] = before[d];
          else row[d] = before[source[d]];
        }
        return 0;
      };
    },

    /** x = L U z + shift. */
    lu(spec) {
      const lower = numbers(spec.lower);
      const upper = numbers(spec.upper);
      const shift = numbers(spec.shift);
      const size = shift.length;
      let logDet = 0;
      for (let d = 0; d < size; d++) logDet += Math.log(upper[d * size + d]);
      return (row, context, backwards) => {
        if (!backwards) {
          for (let d = 0; d < size; d++) {
            let sum = 0;
            for (let e = d; e < size; e++) sum += upper[d * size + e] * row[e];
            row[d] = sum;
          }
          for (let d = size - 1; d >= 0; d--) for (let e = 0; e < d; e++) row[d] += lower[d * size + e] * row[e];
          for (let d = 0; d < size; d++) row[d] += shift[d];
          return logDet;
        }
        for (let d = 0; d < size; d++) row[d] -= shift[d];
        for (let d = 0; d < size; d++) for (let e = 0; e < d; e++) row[d] -= lower[d * size + e] * row[e];
        for (let d = size - 1; d >= 0; d--) {
          for (let e = d + 1; e < size; e++) row[d] -= upper[d * size + e] * row[e];
          row[d] /= upper[d * size + d];
        }
        return -logDet;
      };
    },

    orthogonal(spec) {
      const values = numbers(spec.matrix);
      const size = spec.matrix.shape[0];
      return (row, context, backwards) => {
        const before = Float64Array.from(row);
        for (let d = 0; d < size; d++) {
          row[d] = 0;
          for (let e = 0; e < size; e++) row[d] += values[backwards ? e * size + d : d * size + e] * before[e];
        }
        return 0;
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
        const longest = spec.longest_tail;
        const distance = Math.abs(outside);
        if (backwards) {
          const curved = Math.min(Math.log1p(distance / slope), longest);
          const straight = Math.max(distance / slope - Math.expm1(longest), 0) * Math.exp(-longest);
          out[0] += Math.sign(outside) * (curved + straight);
          out[1] -= curved;
        } else {
          const curved = Math.min(distance, longest);
          const straight = Math.max(distance - longest, 0) * Math.exp(longest);
          out[0] += Math.sign(outside) * slope * (Math.expm1(curved) + straight);
          out[1] += curved;
        }
      }

      function towardBound(value, bound, edge, outside, backwards) {
        const side = outside < 0 ? 1 : -1;
        const room = side * (x[edge] - bound);
        if (backwards) {
          const share = (side * (value - bound)) / room;
          const left = Math.log(share === 0 ? spec.on_bound : Math.max(share, spec.nearest));
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
      const { product, b, negative_slope: negative } = spec;
      const push = numbers(spec.push);
      const w = numbers(spec.w);
      const h = negative === null ? Math.tanh : (s) => (s > 0 ? s : negative * s);
      const slope = negative === null ? (s) => 1 - Math.tanh(s) ** 2 : (s) => (s > 0 ? 1 : negative);
      function root(right) {
        if (negative !== null) return right / (1 + product * (right > 0 ? 1 : negative));
        // s + product · tanh(s) increases in s: Newton's method within a bracket.
        let low = right - 1.125 * Math.abs(product);
        let high = right + 1.125 * Math.abs(product);
        let s = right;
        for (let step = 0; step < 200 && high - low > 0; step++) {
          const excess = s + product * Math.tanh(s) - right;
          if (excess > 0) high = s;
          else low = s;
          let next = s - excess / (1 + product * slope(s));
          if (!(next > low && next < high)) next = (low + high) / 2;
          if (next === s || next === low || next === high) break;
          s = next;
        }
        return s;
      }
      return (row, context, backwards) => {
        let s = b;
        for (let d = 0; d < row.length; d++) s += w[d] * row[d];
        if (backwards) s = root(s);
        const moved = (backwards ? -1 : 1) * h(s);
        for (let d = 0; d < row.length; d++) row[d] += push[d] * moved;
        const logDet = Math.log1p(product * slope(s));
        return backwards ? -logDet : logDet;
      };
    },

    radial(spec) {
      const { alpha, slope } = spec;
      const center = numbers(spec.center);
      return (row, context, backwards) => {
        const distance = Math.hypot(...row.map((value, d) => value - center[d]));
        let r = distance;
        if (backwards) {
          const half = (distance - slope) / 2;
          const root = Math.sqrt(half * half + alpha * distance);
          r = half > 0 ? half + root : (alpha * distance) / (root - half);
        }
        const stretch = backwards ? (alpha + r) / (slope + r) : (slope + r) / (alpha + r);
        for (let d = 0; d < row.length; d++) row[d] = center[d] + (row[d] - center[d]) * stretch;
        const across = Math.log((slope + r) / (alpha + r));
        const along = Math.log(r * r + 2 * alpha * r + alpha * slope) - 2 * Math.log(alpha + r);
        const logDet = (row.length - 1) * across + along;
        return backwards ? -logDet : logDet;
      };
    },
  };

  /* ---- what a flow sees of a context ---- */

  function contextMap(spec) {
    const shift = numbers(spec.shift);
    const scale = numbers(spec.scale);
    const { range, features } = spec;
    const low = range && numbers(range.low);
    const high = range && numbers(range.high);
    const scores = features && BIJECTIONS.marginal(features.scores);
    const mean = features && numbers(features.mean);
    const weight = features && numbers(features.weight);
    return (context) => {
      let seen = Float64Array.from(context, (value, c) => (value - shift[c]) / scale[c]);
      if (range) {
        seen = seen.map((value, c) => {
          const inside = clamp(value, low[c], high[c]);
          const beyond = (value - inside) / range.margin;
          if (spec.trend && beyond !== 0) {
            throw new Error("A context beyond the range of the training rows: ask Python.");
          }
          return inside + (range.margin * beyond) / (1 + Math.abs(beyond));
        });
      }
      if (!features) return seen;
      const own = Float64Array.from(features.numbers, (place) => seen[place]);
      const scored = Float64Array.from(own);
      scores(scored, null, true);
      const both = [...own, ...scored];
      const size = both.length;
      const found = both.map((_, c) =>
        both.reduce((sum, value, e) => sum + (value - mean[e]) * weight[e * size + c], 0)
      );
      return Float64Array.from([...found, ...features.flags.map((place) => seen[place])]);
    };
  }

  /* ---- flows ---- */

  /** The elementary steps of a bijection in the generative order, from the latent space to the data. */
  function stepsOf(spec, see) {
    if (spec.kind === "compose") return spec.parts.flatMap((part) => stepsOf(part, see));
    if (spec.kind === "inverse") {
      return stepsOf(spec.part, see)
        .reverse()
        .map((step) => ({ ...step, swapped: !step.swapped }));
    }
    if (spec.kind === "standardized") {
      const map = spec.context && contextMap(spec.context);
      // Every step asks for the same context, an array that nobody changes.
      let last = null;
      let seen = null;
      const mapped = (context) => {
        if (context !== last) seen = map(see(context));
        last = context;
        return seen;
      };
      const inner = map ? mapped : see;
      // Steps after these are in the units of the data.
      const ofData = stepsOf(spec.data, see).map((step) => ({ ...step, ofData: true }));
      return [...stepsOf(spec.part, inner), ...ofData];
    }
    if (!BIJECTIONS[spec.kind]) throw new Error(`A bijection of kind "${spec.kind}" is not known here.`);
    return [{ kind: spec.kind, apply: BIJECTIONS[spec.kind](spec), see, swapped: false, ofData: false }];
  }

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
  };

  function logSumExp(terms) {
    const largest = Math.max(...terms);
    if (!Number.isFinite(largest)) return largest;
    return largest + Math.log(terms.reduce((sum, term) => sum + Math.exp(term - largest), 0));
  }

  class Flow {
    constructor(spec) {
      this.features = spec.features;
      this.contextFeatures = spec.context_features;
      this.steps = stepsOf(spec.bijection, (context) => context);
      this.baseLogProb = BASES[spec.base.kind](spec.base);
    }

    /** Move a row in place from stage to stage: 0 is the latent space, `steps.length` the data; returns log_det. */
    through(row, from, to, context = null) {
      if (this.contextFeatures && !context) {
        throw new Error(`This flow needs a context of ${this.contextFeatures} numbers.`);
      }
      const ahead = to > from;
      let logDet = 0;
      for (let stage = from; stage !== to; stage += ahead ? 1 : -1) {
        const step = this.steps[ahead ? stage : stage - 1];
        logDet += step.apply(row, context && step.see(context), ahead === step.swapped);
      }
      return logDet;
    }

    forward(z, context = null) {
      const value = Float64Array.from(z);
      const logDet = this.through(value, 0, this.steps.length, context);
      return { value, logDet };
    }

    inverse(x, context = null) {
      const value = Float64Array.from(x);
      const logDet = this.through(value, this.steps.length, 0, context);
      return { value, logDet };
    }

    logProb(x, context = null) {
      const { value, logDet } = this.inverse(x, context);
      return this.baseLogProb(value) + logDet;
    }

    /** The row at every stage, for a row that is known at one of them. */
    stages(row, at = 0, context = null) {
      const found = new Array(this.steps.length + 1);
      found[at] = Float64Array.from(row);
      for (const direction of [-1, 1]) {
        for (let stage = at; stage + direction >= 0 && stage + direction < found.length; stage += direction) {
          found[stage + direction] = Float64Array.from(found[stage]);
          this.through(found[stage + direction], stage, stage + direction, context);
        }
      }
      return found;
    }
  }

  /** A weighted mixture of flows: a density, but no single map. */
  class Mixture {
    constructor(spec) {
      this.features = spec.features;
      this.contextFeatures = spec.context_features;
      this.weights = spec.weights;
      this.flows = spec.flows.map(read);
    }

    logProb(x, context = null) {
      return logSumExp(this.flows.map((flow, k) => Math.log(this.weights[k]) + flow.logProb(x, context)));
    }
  }

  function read(spec) {
    if (spec.format !== "pushforward-flow" || spec.version > VERSION) {
      throw new Error(`This is not a flow, or it is one of a later version than ${VERSION}.`);
    }
    return spec.flows ? new Mixture(spec) : new Flow(spec);
  }

  const api = { read, Flow, Mixture, logSumExp };
  if (typeof module !== "undefined" && module.exports) module.exports = api;
  else root.pushforward = api;
})(typeof globalThis !== "undefined" ? globalThis : this);
