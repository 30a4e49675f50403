/* Evaluates a model of a table in Node: reads {source, table, rows, given, latents, levels}, and writes what it finds. */
"use strict";

const { source, table: spec, rows, given, latents, levels } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const table = require(source).read(spec);
const conditions = (k) => (given ? given[k] : {});
const finite = (value) => (Number.isFinite(value) ? value : null);
const flow = table.density;

process.stdout.write(
  JSON.stringify({
    log_prob: rows.map((row) => finite(table.logProb(row))),
    // Of a single flow draws of known latents can be compared; of a mixture only how they look.
    decoded: flow.forward
      ? latents.map((z, k) => table.decoded(flow.forward(z, table.conditions(conditions(k))).value))
      : [],
    draws: table.sample(20, conditions(0)),
    quantiles: levels.map((level, k) => table.quantile(level, conditions(k))),
  })
);
