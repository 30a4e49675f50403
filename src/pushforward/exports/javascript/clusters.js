/* The map of rows in clusters: x = marginals(f(z′; context, k), k), z[0] standing for the label k and for z′[0]. */
(function (root) {
  "use strict";

  const {
    numbers, clamp, logSumExp, logAddExp, ndtr, logNdtr, logNormal, normalQuantile, Network, contextMap, stepsOf,
    walk, BIJECTIONS,
  } = root.pushforward.parts;

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

  function clustered(spec) {
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
      const known = map ? map(context).seen : null;
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
  }

  BIJECTIONS.clustered = clustered;
})(globalThis);
