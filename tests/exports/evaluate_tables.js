/* Evaluates a model of a table in Node: reads {source, table, rows, levels, points} and writes what it finds. */
"use strict";

const { source, table: spec, rows, given, levels, noise } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const { read } = require(source);
const table = read(spec);
const parts = globalThis.pushforward.parts;

// Draws of a latent that is known: the base is asked for uniform and normal numbers, which are not those of numpy.
const decoded = noise.map((latent, k) => {
  const flow = table.density;
  const context = table.conditions(given ? given[k] : {});
  return flow.forward ? table.decoded(flow.forward(latent, context).value) : null;
});
process.stdout.write(
  JSON.stringify({
    log_prob: rows.map((row) => table.logProb(row)).map((one) => (Number.isFinite(one) ? one : null)),
    decoded,
    draws: table.sample(20, given ? given[0] : {}),
    quantiles: levels.map((level) => table.quantile(level, given ? given[0] : {})),
    parts: Object.keys(parts).length,
  })
);
