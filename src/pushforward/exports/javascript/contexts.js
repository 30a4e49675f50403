/* What a conditional flow is shown of a context, and how it goes on beyond the contexts of the training rows. */
(function (root) {
  "use strict";

  const { numbers, clamp, BIJECTIONS } = root.pushforward.parts;

  const MARGIN = 0.01;
  const FURTHEST = 1e6;
  const LEAST_VARIANCE = 1e-12;

  /** What a map is shown of a context, and how far this lies beyond the range of the training rows. */
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
      const standard = Float64Array.from(context, (value, c) => (value - shift[c]) / scale[c]);
      const ends = standard.map((value, c) => {
        if (!range) return value;
        const inside = clamp(value, low[c], high[c]);
        const beyond = (value - inside) / MARGIN;
        return inside + (MARGIN * beyond) / (1 + Math.abs(beyond));
      });
      const beyond = standard.map((value, c) => value - ends[c]);
      if (!features) return { seen: ends, beyond };
      const own = Float64Array.from(features.numbers, (place) => ends[place]);
      const scored = Float64Array.from(own);
      scores(scored, null, true);
      const both = [...own, ...scored];
      const size = both.length;
      const found = both.map((_, c) =>
        both.reduce((sum, value, e) => sum + (value - mean[e]) * weight[e * size + c], 0)
      );
      return { seen: Float64Array.from([...found, ...features.flags.map((place) => ends[place])]), beyond };
    };
  }

  const growthOf = (excess) => excess / (Math.sqrt(1 + excess) + 1);

  /** Mean and variance of each feature of some rows, in a unit of each. */
  function moments(rows, unit) {
    return Array.from(unit, (one, d) => {
      const center = rows.reduce((sum, row) => sum + row[d], 0) / rows.length;
      const variance = rows.reduce((sum, row) => sum + ((row[d] - center) / one) ** 2, 0) / rows.length;
      return { center, variance: Math.max(variance, LEAST_VARIANCE) };
    });
  }

  /**
   * How a conditional density goes on beyond the range of contexts: along a trend, and wider the further it is from it.
   *
   * `images` gives what latent points become, in standardized units and in those of the data. A function of how far a
   * context is beyond the range and of those; it gives {center, growth, shift} of each feature, in both units.
   */
  function widening(trend) {
    const [slope, noise, precision, points] = ["slope", "noise", "precision", "latents"].map((name) =>
      numbers(trend[name])
    );
    const size = noise.length;
    const latents = Array.from({ length: points.length / size }, (_, k) => points.slice(k * size, (k + 1) * size));
    return (far, images) => {
      const beyond = far.map((value) => clamp(value, -FURTHEST, FURTHEST));
      const count = beyond.length;
      let distance = 0;
      for (let c = 0; c < count; c++) {
        for (let e = 0; e < count; e++) distance += beyond[c] * precision[c * count + e] * beyond[e];
      }
      distance = Math.max(distance, 0);
      const [standard, ofData] = images(latents);
      const scores = moments(standard, noise.map(() => 1)).map(({ center, variance }, d) => {
        const excess = noise[d] > 0 ? 0 : (Math.max(1 / variance - 1, 0) * distance) / (1 + distance);
        return { center, growth: growthOf(excess), shift: 0 };
      });
      const unit = noise.map((one) => (one > 0 ? one : 1));
      const values = moments(ofData, unit).map(({ center, variance }, d) => {
        const shift = beyond.reduce((sum, value, c) => sum + value * slope[d * count + c], 0);
        return { center, growth: growthOf(noise[d] > 0 ? distance / variance : 0), shift };
      });
      return { scores, values };
    };
  }

  /** Moves and widens a row in place; log_det. */
  function widen(row, features, backwards) {
    let logDet = 0;
    features.forEach(({ center, growth, shift }, d) => {
      const moved = row[d] - shift;
      if (backwards) row[d] = moved - (growth / (1 + growth)) * (moved - center);
      else row[d] += growth * (row[d] - center) + shift;
      logDet += (backwards ? -1 : 1) * Math.log1p(growth);
    });
    return logDet;
  }

  /** What a mixture shows its flows of a context. */
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

  Object.assign(root.pushforward.parts, { contextMap, widening, widen, REGRESSIONS });
})(globalThis);
