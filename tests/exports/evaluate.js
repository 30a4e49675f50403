/* Evaluates a flow in Node: reads {source, flow, z, x, context, draws, levels} from standard input, writes what it finds. */
"use strict";

const { flow: spec, source, z, x, context, draws, levels } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const flow = require(source).read(spec);
const at = (row) => (context === null ? null : context[row]);
const plain = ({ value, logDet }) => ({ value: Array.from(value), log_det: logDet });
const single = Boolean(flow.forward);

process.stdout.write(
  JSON.stringify({
    forward: single ? z.map((row, index) => plain(flow.forward(row, at(index)))) : [],
    inverse: single ? x.map((row, index) => plain(flow.inverse(row, at(index)))) : [],
    "there and back": single
      ? z.map((row, index) => flow.inverse(flow.forward(row, at(index)).value, at(index)).logDet)
      : [],
    log_prob: x.map((row, index) => flow.logProb(row, at(index))),
    stages: single ? flow.stages(x[0], flow.steps.length, at(0)).map((row) => Array.from(row)) : [],
    quantiles: levels.map((level) => flow.quantile(level, at(0))),
    draws: flow.sample(draws, at(0)).map((row) => Array.from(row)),
  })
);
