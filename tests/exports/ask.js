/* Asks a model in Node: reads {source, model, calls} from standard input, writes what each call gives, or its error. */
"use strict";

const { source, model: spec, calls } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const pushforward = require(source);

function answer(call) {
  try {
    const found = new Function("pushforward", "spec", "model", `return ${call};`)(
      pushforward,
      spec,
      spec && pushforward.read(spec)
    );
    return typeof found === "number" && !Number.isFinite(found) ? String(found) : found;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
}

process.stdout.write(JSON.stringify(calls.map(answer)));
