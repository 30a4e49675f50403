/* Evaluates a flow in Node: reads {source, flow, z, x, context} from standard input, writes values and log_dets. */
"use strict";

const { flow: spec, source, z, x, context } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const flow = require(source).read(spec);
const at = (row) => (context === null ? null : context[row]);
const plain = ({ value, logDet }) => ({ value: Array.from(value), log_det: logDet });

process.stdout.write(
  JSON.stringify({
    forward: flow.forward ? z.map((row, index) => plain(flow.forward(row, at(index)))) : [],
    inverse: flow.inverse ? x.map((row, index) => plain(flow.inverse(row, at(index)))) : [],
    log_prob: x.map((row, index) => flow.logProb(row, at(index))),
    stages: flow.stages ? flow.stages(x[0], flow.steps.length, at(0)).map((row) => Array.from(row)) : [],
  })
);
