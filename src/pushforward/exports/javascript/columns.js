/* Columns by their map: encode(code, noise) gives [y, what adds to log q(y)], decode(y) a code; y is on the whole line.
 *
 * A value with a probability has an interval of y, in which noise from 0 to 1 chooses a point.
 */
(function (root) {
  "use strict";

  const {
    clamp, softplus, erf, erfcx, ndtr, logNormal, probit, normalQuantile, BIJECTIONS,
  } = root.pushforward.parts;

  // As of the classes of Python.
  const EDGE = 2 ** -24;
  const [FURTHEST, FURTHEST_CELL, LARGEST_LOG, LARGEST_EXACT] = [36, 30, 700, 2 ** 53];
  const [LOG_SHORTEST, ON_END, LARGEST_EXPONENT] = [-26 * Math.LN2, 0.5, 60];
  const [DECADE_EDGE, ROUNDING, MOST_ROUNDING] = [1e-9, 1e-6, 1e-3];

  const logistic = (y) => Math.exp(-softplus(-y));
  /** The whole number next to another, the even one of two. */
  const nearest = (x) => {
    const rounded = Math.round(x);
    return Math.abs(x % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
  };
  const remainder = (a, b) => a - Math.floor(a / b) * b;
  const ends = ([low, high]) => [low === null ? -Infinity : low, high === null ? Infinity : high];

  /** A point between two ends, given by the probabilities below and above each, and its term. */
  function spread([below, above], [belowEnd, aboveEnd], noise) {
    const width = below < aboveEnd ? belowEnd - below : above - aboveEnd;
    const y = probit(below + noise * (belowEnd - below), aboveEnd + (1 - noise) * (above - aboveEnd));
    return [y, Math.log(width) - logNormal(y)];
  }

  /** Sums of the shares before each place and after it. */
  function sums(shares) {
    const before = [0];
    const after = [0];
    for (let k = 0; k < shares.length; k++) {
      before.push(before[k] + shares[k]);
      after.push(after[k] + shares[shares.length - 1 - k]);
    }
    return [before, after.reverse()];
  }

  function identity(column) {
    const [low, high] = ends(column.support);
    return { encode: (x) => [x, 0], decode: (y) => clamp(y, low, high) };
  }

  function logarithm() {
    return {
      encode: (x) => [Math.log(x), -Math.log(x)],
      decode: (y) => Math.exp(clamp(y, -LARGEST_LOG, LARGEST_LOG)),
    };
  }

  function cells({ first, step, shares }) {
    const [before, after] = sums(shares);
    const edges = shares.slice(1).map((_, k) => probit(before[k + 1], after[k + 1]));
    return {
      encode(code, noise) {
        const k = nearest((code - first) / step);
        if (!(k >= 0 && k < shares.length)) return [0, -Infinity];
        const y = probit(before[k] + noise * shares[k], after[k + 1] + (1 - noise) * shares[k]);
        return [y, Math.log(shares[k]) - logNormal(y)];
      },
      decode: (y) => first + step * edges.filter((edge) => y >= edge).length,
    };
  }

  function steps({ step, offset, range }) {
    const [low, high] = ends(range);
    return {
      encode: (code, noise) => [nearest((code - offset) / step) + noise, 0],
      decode: (y) => clamp(clamp(Math.floor(y), low, high), -LARGEST_EXACT, LARGEST_EXACT) * step + offset,
    };
  }

  /** log (x - low) - log (high - x), with the terms of the ends at which values pile up alone. */
  function endLogarithms({ bounds, piled }) {
    const [low, high] = ends(bounds);
    const [nearLow, nearHigh] = piled;
    const both = nearLow !== null && nearHigh !== null;
    const width = both ? high - low : 1;
    const log = (distance, near) => (near === null ? 0 : Math.log(distance > 0 ? distance : ON_END * near));
    return {
      encode(x) {
        const [first, last] = [log(x - low, nearLow), log(high - x, nearHigh)];
        return [first - last, Math.log(width) - first - last];
      },
      decode(y) {
        const bent = clamp(y, -LARGEST_LOG, LARGEST_LOG);
        const below = low + width * (nearHigh === null ? Math.exp(bent) : logistic(bent));
        const above = high - width * (nearLow === null ? Math.exp(-bent) : logistic(-bent));
        const found = both ? (y < 0 ? below : above) : nearLow === null ? above : below;
        return clamp(found, low, high);
      },
    };
  }

  function logReciprocalErfc(u) {
    const scaled = Math.log(erfcx(u));
    return [u < 0.5 ? -Math.log1p(-erf(u)) : u * u - scaled, Math.log(2 / Math.sqrt(Math.PI)) - scaled];
  }

  /** Numbers without their heavy tails. */
  function tails({ lower, upper, shift, scale }) {
    return {
      encode(code) {
        const value = (code - shift) / scale;
        const weight = value >= 0 ? upper : lower;
        const stretched = weight * Math.abs(value);
        const inside = Math.min(stretched, Math.expm1(LARGEST_EXPONENT));
        const exponent = Math.log1p(inside);
        const t = (exponent + (stretched - inside) * Math.exp(-LARGEST_EXPONENT)) / weight;
        let u = -normalQuantile(-t - Math.LN2, 0) * Math.SQRT1_2;
        const [found, slope] = logReciprocalErfc(Math.max(u, 0));
        u -= (found - t) * Math.exp(-slope);
        const logSlope = logReciprocalErfc(Math.max(u, 0))[1];
        const term = Math.log(scale) + exponent + logSlope - 0.5 * Math.LN2;
        return [(value >= 0 ? 1 : -1) * u * Math.SQRT2, -term];
      },
      decode(y) {
        const weight = y >= 0 ? upper : lower;
        const exponent = weight * logReciprocalErfc(Math.abs(y) * Math.SQRT1_2)[0];
        const inside = Math.min(exponent, LARGEST_EXPONENT);
        const far = (Math.expm1(inside) + Math.exp(inside) * (exponent - inside)) / weight;
        return shift + scale * (y >= 0 ? far : -far);
      },
    };
  }

  /** Angles, cut open at a place, perhaps in steps, and with atoms beside them. */
  function circle({ period, low, start, step, atoms, shares }) {
    const rest = 1 - shares.reduce((sum, share) => sum + share, 0);
    const places = atoms.map((atom) => remainder((atom - start) / period, 1));
    const order = atoms.map((_, k) => k).sort((a, b) => places[a] - places[b]);
    const jumps = [];
    order.reduce((sum, k) => {
      jumps[k] = rest * places[k] + sum;
      return sum + shares[k];
    }, 0);
    return {
      encode(code, noise) {
        const turn = remainder((code - start) / period, 1);
        let before = 0;
        let width = (rest * step) / period;
        atoms.forEach((atom, k) => {
          if (code === atom) width += shares[k];
          else if (turn > places[k]) before += shares[k];
        });
        const part = clamp(rest * turn + before + width * noise, EDGE ** 2, 1 - EDGE ** 2);
        const y = probit(part, 1 - part);
        return [y, Math.log(width > 0 ? width : rest / period) - logNormal(y)];
      },
      decode(y) {
        const whole = ndtr(y);
        let within = 0;
        for (const k of order) {
          const part = clamp(whole - jumps[k], 0, shares[k]);
          if (part > 0 && part < shares[k]) return atoms[k];
          within += part;
        }
        let turn = remainder((whole - within) / rest + (start - low) / period, 1) * period;
        if (step > 0) {
          // Rounding may reach a step from either side: a billionth of it is given to the next.
          turn = Math.floor(turn / step + 1e-9) * step;
          if (turn >= period * (1 - 1e-9)) turn = 0;
        }
        return low + turn >= low + period ? low : low + turn;
      },
    };
  }

  /** Numbers beside atoms, each of which has a probability: `normal` gives the score of a number beside them. */
  function mixture(column) {
    const { atoms, shares } = column;
    const [low, high] = ends(column.bounds);
    const rest = 1 - shares.reduce((sum, share) => sum + share, 0);
    const spline = BIJECTIONS.marginal(column.spline);
    const logarithms = column.piled && endLogarithms({ bounds: column.bounds, piled: column.piled });
    const [before, after] = sums(shares);
    function scores(x) {
      const [y, bend] = logarithms ? logarithms.encode(x) : [x, 0];
      const row = Float64Array.of(y);
      const slope = spline(row, null, true);
      return [row[0], slope + bend];
    }
    const normal = (x) => (x <= low ? -Infinity : x >= high ? Infinity : scores(x)[0]);
    const sides = (z, place) => [before[place] + rest * ndtr(z), after[place] + rest * ndtr(-z)];
    const jumps = atoms.map((atom, k) => [sides(normal(atom), k), sides(normal(atom), k + 1)]);
    const intervals = jumps.map(([first, last]) => [probit(...first), probit(...last)]);
    const countBelow = (x) => atoms.filter((atom) => x > atom).length;
    function encode(x, noise) {
      const atom = atoms.indexOf(x);
      if (atom >= 0) return spread(...jumps[atom], noise);
      const [z, slope] = scores(x);
      const inside = clamp(z, -FURTHEST, FURTHEST);
      const count = countBelow(x);
      const y = probit(...sides(inside, count));
      // Beyond the furthest point y - z is constant, unless an atom has its interval there.
      if ((z < 0 ? before : after)[count] <= 0 && z !== inside) return [y + (z - inside), slope];
      return [y, Math.log(rest) + logNormal(z) - logNormal(y) + slope];
    }
    function decode(y) {
      const atom = intervals.findIndex(([first, last]) => y >= first && y < last);
      if (atom >= 0) return atoms[atom];
      const count = intervals.filter(([, last]) => y >= last).length;
      const lower = clamp((ndtr(y) - before[count]) / rest, 1e-300, 1);
      const upper = clamp((ndtr(-y) - after[count]) / rest, 1e-300, 1);
      const row = Float64Array.of(Math.abs(y) > FURTHEST ? y : probit(lower, upper));
      spline(row, null, false);
      return clamp(logarithms ? logarithms.decode(row[0]) : row[0], low, high);
    }
    return { encode, decode, normal, sides, atoms, countBelow, low, high };
  }

  /* ---- numbers that were rounded ---- */

  /** The grid to which numbers were rounded: of one step, or of significant figures. */
  class Cells {
    constructor({ step, offset, figures, exact_beside, range }) {
      Object.assign(this, { step, offset, figures, exactBeside: exact_beside });
      [this.least, this.most] = ends(range);
    }

    stepAt(x) {
      if (!this.figures) return this.step;
      const decade = Math.floor(Math.log10(Math.abs(x) / this.step) + DECADE_EDGE) - (this.figures - 1);
      return this.step * 10 ** (Number.isFinite(decade) ? Math.max(decade, 0) : 0);
    }

    near(x) {
      const step = this.stepAt(x);
      return this.offset + nearest((x - this.offset) / step) * step;
    }

    within(x) {
      return clamp(this.near(x), this.least, this.most);
    }

    ends(middle) {
      if (!this.figures) return [middle - 0.5 * this.step, middle + 0.5 * this.step];
      const away = this.stepAt(middle);
      const toward = this.stepAt(middle * (1 - 1e-7));
      return middle > 0 ? [middle - 0.5 * toward, middle + 0.5 * away] : [middle - 0.5 * away, middle + 0.5 * toward];
    }

    length(x) {
      if (!this.figures) return this.step;
      const [low, high] = this.ends(this.near(x));
      return high - low;
    }

    /** Whether a number lies beside the grid, and was not rounded. */
    exact(x) {
      if (!this.exactBeside) return false;
      const step = this.stepAt(x);
      const bits = Math.fround(x) === x ? 2 ** -23 : 16 * 2 ** -52;
      const rounding = Math.min(ROUNDING + (bits * Math.abs(x)) / step, MOST_ROUNDING);
      return Math.abs(x - this.near(x)) > rounding * step;
    }
  }

  function rounded(map, spec, bounds) {
    const grid = new Cells(spec);
    const [low, high] = ends(bounds);
    return {
      encode(code, noise) {
        if (grid.exact(code)) return map.encode(code, noise);
        const middle = grid.within(code);
        const [first, last] = grid.ends(middle);
        const start = middle <= grid.least ? low : first;
        const end = middle >= grid.most ? high : last;
        const [y, term] = map.encode(start + noise * (end - start), noise);
        return [y, term + Math.log((end - start) / grid.length(clamp(code, grid.least, grid.most)))];
      },
      decode: (y) => (grid.exactBeside ? map.decode(y) : grid.within(map.decode(y))),
    };
  }

  function roundedMixture(map, spec) {
    const grid = new Cells(spec);
    const { atoms, low, high } = map;
    function side(end, place) {
      const z = clamp(map.normal(end), -FURTHEST, FURTHEST);
      return map.sides(end <= low ? -Infinity : end >= high ? Infinity : z, place);
    }
    return {
      encode(x, noise) {
        const atom = atoms.indexOf(x);
        if (atom < 0 && grid.exact(x)) return map.encode(x, noise);
        const middle = atom < 0 ? grid.within(x) : x;
        const place = atom < 0 ? map.countBelow(middle) : atom;
        const [first, last] = grid.ends(middle);
        const start = atom < 0 && middle <= grid.least ? low : first;
        const end = atom < 0 && middle >= grid.most ? high : last;
        const [y, term] = spread(side(start, place), side(end, atom < 0 ? place : place + 1), noise);
        if (atom >= 0) return [y, term];
        const room = 0.25 * grid.step;
        const [smooth, slope] = map.encode(clamp(x, low + room, high - room), noise);
        const logLength = Math.log(grid.length(x));
        const far = !(Math.abs(map.normal(x)) < FURTHEST_CELL) || slope + logLength < LOG_SHORTEST;
        const whole = far ? slope + logLength : term;
        return [far ? smooth : y, spec.discrete ? whole : whole - logLength];
      },
      decode(y) {
        const x = map.decode(y);
        return grid.exactBeside || atoms.includes(x) ? x : grid.within(x);
      },
    };
  }

  const MAPS = { identity, logarithm, cells, steps, end_logarithms: endLogarithms, tails, circle, mixture };

  /** The map of a column from its description. */
  function columnMap(spec) {
    const map = MAPS[spec.kind](spec);
    if (!spec.recorded) return map;
    return spec.kind === "mixture" ? roundedMixture(map, spec.recorded) : rounded(map, spec.recorded, spec.bounds);
  }

  Object.assign(root.pushforward.parts, { columnMap, nearest, remainder });
})(globalThis);
