/* Flows in a browser or in Node, without dependencies: forward (z → x) and inverse (x → z) with log_det, step by step.
 *
 * A model is read from the JSON that `pushforward export MODEL -o model.json` writes. Every number is a double here;
 * the weights are those of the model. A row is an array of D numbers, a context one of C.
 *
 *     const flow = pushforward.read(JSON.parse(text));
 *     flow.logProb([0.3, -1.2]);
 *     flow.sample(10);                  // ten rows; with a context flow.sample(10, [0.5])
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

  /* ---- the normal distribution: erfc by Cody 1969, quantiles by Wichura 1988 (AS 241) ---- */

  const ERF = [
    0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694,
  ];
  const ERF_BELOW = [
    1.0, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171,
  ];
  const ERFCX = [
    2.1531153547440383e-08, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ];
  const ERFCX_BELOW = [
    1.0, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
    4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ];
  const FAR = [
    0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
    0.0006587491615298378,
  ];
  const FAR_BELOW = [
    1.0, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
  ];
  const CENTER = [
    2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946,
    1971.5909503065513, 133.14166789178438, 3.3871328727963665,
  ];
  const CENTER_BELOW = [
    5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751,
    687.1870074920579, 42.31333070160091, 1.0,
  ];
  const TAIL = [
    0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045,
    5.769497221460691, 4.630337846156546, 1.4234371107496835,
  ];
  const TAIL_BELOW = [
    1.0507500716444169e-09, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851,
    1.6763848301838038, 2.053191626637759, 1.0,
  ];
  const END = [
    2.0103343992922881e-07, 2.7115555687434876e-05, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487,
    1.7848265399172913, 5.463784911164114, 6.657904643501103,
  ];
  const END_BELOW = [
    2.0442631033899397e-15, 1.421511758316446e-07, 1.8463183175100548e-05, 0.0007868691311456133,
    0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1.0,
  ];

  function ratio(x, above, below) {
    let top = above[0];
    let bottom = below[0];
    for (let k = 1; k < above.length; k++) {
      top = top * x + above[k];
      bottom = bottom * x + below[k];
    }
    return top / bottom;
  }

  /** exp(x²) erfc(x) of x ≥ 0. */
  function erfcx(x) {
    if (x <= 0.46875) return Math.exp(x * x) * (1 - x * ratio(x * x, ERF, ERF_BELOW));
    if (x <= 4) return ratio(x, ERFCX, ERFCX_BELOW);
    const inverse = 1 / (x * x);
    return (1 / Math.sqrt(Math.PI) - inverse * ratio(inverse, FAR, FAR_BELOW)) / x;
  }

  function erf(x) {
    if (Math.abs(x) <= 0.46875) return x * ratio(x * x, ERF, ERF_BELOW);
    return Math.sign(x) * (1 - Math.exp(-x * x) * erfcx(Math.abs(x)));
  }

  function ndtr(z) {
    const tail = 0.5 * Math.exp(-0.5 * z * z) * erfcx(Math.abs(z) * Math.SQRT1_2);
    return z < 0 ? tail : 1 - tail;
  }

  function logNdtr(z) {
    if (z < 0) return Math.log(0.5 * erfcx(-z * Math.SQRT1_2)) - 0.5 * z * z;
    return Math.log1p(-ndtr(-z));
  }

  const logNormal = (z) => -0.5 * (z * z + LOG_2PI);

  /** How far below 0 the normal distribution has a probability of at most a half. */
  function normalDistance(logP, fromMiddle) {
    if (fromMiddle <= 0.425) return fromMiddle * ratio(0.425 ** 2 - fromMiddle * fromMiddle, CENTER, CENTER_BELOW);
    const root = Math.sqrt(-logP);
    if (root <= 5) return ratio(root - 1.6, TAIL, TAIL_BELOW);
    if (root <= 27) return ratio(root - 5, END, END_BELOW);
    return Math.sqrt(-2 * logP - Math.log(-4 * Math.PI * logP));
  }

  /** Φ⁻¹(p) of p and 1 - p, from the smaller of the two, which has the digits. */
  function probit(below, above) {
    const smaller = Math.min(below, above);
    const distance = smaller > 0 ? normalDistance(Math.log(smaller), 0.5 - smaller) : Infinity;
    return below < above ? -distance : distance;
  }

  /** Φ⁻¹(p) of log p and log(1 - p), however far out. */
  function normalQuantile(logBelow, logAbove) {
    const smaller = Math.min(logBelow, logAbove, -Math.LN2);
    let distance = normalDistance(smaller, 0.5 - Math.exp(smaller));
    for (let step = 0; step < 3; step++) {
      const logP = logNdtr(-distance);
      distance += (logP - smaller) * Math.exp(logP - logNormal(distance));
    }
    return logBelow < logAbove ? -distance : distance;
  }

  const logAddExp = (a, b) => logSumExp([a, b]);

  /** Where an increasing function of value and slope is 0: Newton's method within a bracket, else bisection. */
  function increasingRoot(excess, low, high) {
    const room = 64 * Number.EPSILON * Math.max(Math.abs(low), Math.abs(high));
    low -= room;
    high += room;
    let a = low + (high - low) / 2;
    let before = high - low;
    for (let step = 0; step < 200; step++) {
      const [value, slope] = excess(a);
      if (value === 0) break;
      if (value < 0) low = a;
      else high = a;
      const middle = low + (high - low) / 2;
      const newton = a - value / slope;
      const trusted = newton > low && newton < high && Math.abs(newton - a) < Math.abs(before) / 2;
      const next = trusted ? newton : middle;
      if (next === a || middle <= low || middle >= high) break;
      before = next - a;
      a = next;
    }
    return a;
  }

  /* ---- networks ---- */

  const ACTIVATIONS = {
    relu: (value) => (value > 0 ? value : 0),
    elu: (value) => (value > 0 ? value : Math.expm1(value)),
    silu: (value) => value / (1 + Math.exp(-value)),
    tanh: Math.tanh,
    gelu: (value) => 0.5 * value * (1 + erf(value * Math.SQRT1_2)),
  };

  /**
   * The network of a coupling or an autoregressive layer.
   *
   * Hidden units have degrees: those of degree d are computed by `advance(d)`, when the first d features are known.
   * So one pass serves both directions of an autoregressive layer. In a coupling layer all degrees are 0.
   */
  class Network {
    constructor(spec) {
      this.count = spec.count;
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
          const degree = spec.degrees[layer] ? spec.degrees[layer][unit] : 0;
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

    /** x = marginals(f(z′; context, k), k), z[0] standing for the label k of a cluster and for z′[0]. */
    clustered(spec) {
      const [low, high, first, last, mean, root] = ["low", "high", "first", "last", "mean", "root"].map((name) =>
        numbers(spec[name])
      );
      const [count, size] = spec.low.shape;
      const map = spec.context && contextMap(spec.context);
      const network = spec.network && new Network(spec.network);
      const logShares = numbers(spec.log_shares);
      const part = stepsOf(spec.part, (context) => context);
      const splines = Array.from({ length: count }, (_, k) => BIJECTIONS.marginal(rowsOf(spec.splines, k, size)));
      const inner = (row, context, backwards) => walk(part, row, context, backwards);
      function sharesOf(known) {
        if (network) network.begin([], known);
        const logits = logShares.map((share, k) => share + (network ? network.of(0, [])[k] : 0));
        const total = logSumExp(Array.from(logits));
        const shares = logits.map((one) => one - total);
        const sums = (some) => logSumExp(Array.from(some));
        return Array.from(shares, (share, k) => [share, sums(shares.slice(0, k)), sums(shares.slice(k + 1))]);
      }
      const seenBy = (known, label) => {
        if (!spec.labels) return known;
        return [...(known || []), ...Array.from({ length: count - 1 }, (_, k) => (k + 1 === label ? 1 : 0))];
      };
      function divide(z, shares) {
        let label = 0;
        while (label < count - 1 && z >= normalQuantile(shares[label + 1][1], shares[label][2])) label++;
        const [share, below, above] = shares[label];
        const rest = [
          [z, below],
          [-z, above],
        ].map(([side, beyond]) => {
          if (beyond === -Infinity) return logNdtr(side) - share;
          return Math.log(Math.max(ndtr(side) - Math.exp(beyond), 1e-17)) - share;
        });
        const y = normalQuantile(rest[0], rest[1]);
        return [label, y, logNormal(z) - share - logNormal(y)];
      }
      function join(y, [share, below, above]) {
        const z = normalQuantile(logAddExp(below, share + logNdtr(y)), logAddExp(above, share + logNdtr(-y)));
        return [z, logNormal(y) + share - logNormal(z)];
      }
      return (row, context, backwards) => {
        const known = map ? map(context) : null;
        const shares = sharesOf(known);
        let label = 0;
        let logDet = 0;
        if (backwards) {
          const inside = (k) => row.every((x, d) => x >= low[k * size + d] && x < high[k * size + d]);
          while (label < count - 1 && !inside(label)) label++;
          const at = label * size;
          for (let d = 0; d < size; d++) {
            const outside = row[d] - clamp(row[d], first[at + d], last[at + d]);
            const room = outside < 0 ? first[at + d] - low[at + d] : high[at + d] - last[at + d];
            const share = Math.min(Math.abs(outside) / room, 1 - 1e-12);
            row[d] += (outside * share) / (1 - share);
            logDet -= 2 * Math.log1p(-share);
          }
          logDet += splines[label](row, null, true);
          for (let d = 0; d < size; d++) {
            const own = (at + d) * size;
            row[d] -= mean[at + d];
            for (let e = 0; e < d; e++) row[d] -= root[own + e] * row[e];
            row[d] /= root[own + d];
            logDet -= Math.log(root[own + d]);
          }
          logDet += inner(row, seenBy(known, label), true);
          const [z, term] = join(row[0], shares[label]);
          row[0] = z;
          return logDet + term;
        }
        [label, row[0], logDet] = divide(row[0], shares);
        logDet += inner(row, seenBy(known, label), false);
        const at = label * size;
        for (let d = size - 1; d >= 0; d--) {
          const own = (at + d) * size;
          row[d] *= root[own + d];
          for (let e = 0; e < d; e++) row[d] += root[own + e] * row[e];
          row[d] += mean[at + d];
          logDet += Math.log(root[own + d]);
        }
        logDet += splines[label](row, null, false);
        for (let d = 0; d < size; d++) {
          const outside = row[d] - clamp(row[d], first[at + d], last[at + d]);
          const room = outside < 0 ? first[at + d] - low[at + d] : high[at + d] - last[at + d];
          const times = Math.abs(outside) / room;
          row[d] -= (outside * times) / (1 + times);
          logDet -= 2 * Math.log1p(times);
        }
        return logDet;
      };
    },
  };

  const TINY = 2 ** -1022;
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

  /** The parameters of a whole layer, which may be a function of the context. */
  function amortized(spec) {
    const start = numbers(spec.start);
    const network = spec.network && new Network(spec.network);
    return (context) => {
      if (!network) return start;
      network.begin([], context);
      const found = network.of(0, []);
      return start.map((one, k) => one + found[k]);
    };
  }

  /** The splines of one cluster. */
  function rowsOf(spec, cluster, size) {
    const own = { kind: "marginal" };
    for (const [name, packed] of Object.entries(spec)) {
      if (name === "kind" || packed === null) continue;
      const width = packed.shape.length > 1 ? packed.shape[1] : 1;
      const values = Array.from(numbers(packed)).slice(cluster * size * width, (cluster + 1) * size * width);
      own[name] = Object.assign(values, { shape: [size, width] });
    }
    return own;
  }

  /** A row through all steps in place; log_det. */
  function walk(steps, row, context, backwards) {
    let logDet = 0;
    for (let k = 0; k < steps.length; k++) {
      const step = steps[backwards ? steps.length - 1 - k : k];
      logDet += step.apply(row, context && step.see(context), backwards !== step.swapped);
    }
    return logDet;
  }

  /* ---- what a flow sees of a context ---- */

  const MARGIN = 0.01;

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
          const beyond = (value - inside) / MARGIN;
          if (spec.trend && beyond !== 0) {
            throw new Error("A context beyond the range of the training rows: ask Python.");
          }
          return inside + (MARGIN * beyond) / (1 + Math.abs(beyond));
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

  /* ---- draws ---- */

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

  /* ---- what a mixture shows its flows of a context ---- */

  const REGRESSIONS = {
    trees(spec) {
      const [shift, scale, roots, right, feature, number] = [
        "shift", "scale", "roots", "right", "feature", "number",
      ].map((name) => numbers(spec[name]));
      const start = numbers(spec.start)[0];
      return (context) => {
        const u = context.map((value, c) => Math.fround(Math.asinh((value - shift[c]) * scale[c])));
        return roots.reduce((sum, node) => {
          while (right[node] > 0) node += u[feature[node]] <= number[node] ? 1 : right[node];
          return sum + number[node];
        }, start);
      };
    },
    kernels(spec) {
      const [shift, scale, low, high, points, weights, numbersOf] = [
        "shift", "scale", "low", "high", "points", "weights", "numbers",
      ].map((name) => numbers(spec[name]));
      const [start, amplitude, slope] = numbersOf;
      return (context) => {
        const a = context.map((value, c) => (clamp(value, low[c], high[c]) - shift[c]) * scale[c]);
        return weights.reduce((sum, weight, m) => {
          const point = points.subarray(m * a.length, (m + 1) * a.length);
          const square = a.reduce((total, value, c) => total + (value - point[c]) ** 2, 0);
          const product = a.reduce((total, value, c) => total + value * point[c], 0);
          const distance = Math.sqrt(5 * square + 1e-12);
          const curved = amplitude * (1 + distance + (5 / 3) * square) * Math.exp(-distance);
          return sum + weight * (curved + slope * (1 + product));
        }, start);
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
      this.base = spec.base;
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

    /** Draws, as rows; `random` gives uniform numbers from 0 to 1, as Math.random does. */
    sample(count, context = null, random = Math.random) {
      return Array.from({ length: count }, () => {
        return this.forward(DRAWS[this.base.kind](this.base, this.features, random), context).value;
      });
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
      this.weights = Array.from(numbers(spec.weights));
      this.flows = spec.flows.map((flow) => new Flow(flow));
      this.regressions = spec.regressions.map((one) => REGRESSIONS[one.kind](one));
    }

    seen(context) {
      if (context === null || !this.regressions.length) return context;
      return [...context, ...this.regressions.map((one) => one(Float64Array.from(context)))];
    }

    logProb(x, context = null) {
      const seen = this.seen(context);
      return logSumExp(this.flows.map((flow, k) => Math.log(this.weights[k]) + flow.logProb(x, seen)));
    }

    sample(count, context = null, random = Math.random) {
      const seen = this.seen(context);
      return Array.from({ length: count }, () => {
        return this.flows[choice(this.weights, random)].sample(1, seen, random)[0];
      });
    }
  }

  function read(spec) {
    if (spec.format !== "pushforward-flow" || spec.version > VERSION) {
      throw new Error(`This is not a flow, or it is one of a later version than ${VERSION}.`);
    }
    return spec.flows ? new Mixture(spec) : new Flow(spec);
  }

  const api = { read, Flow, Mixture, logSumExp };
  root.pushforward = api;
  if (typeof module !== "undefined" && module.exports) module.exports = api;
})(typeof globalThis !== "undefined" ? globalThis : this);
