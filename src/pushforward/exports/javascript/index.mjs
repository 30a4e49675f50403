/* The same as an ES module, for browsers, bundlers and Node: import { read } from "pushforward". */
import "./numbers.js";
import "./inputs.js";
import "./normal.js";
import "./student.js";
import "./networks.js";
import "./families.js";
import "./maps.js";
import "./contexts.js";
import "./steps.js";
import "./clusters.js";
import "./bases.js";
import "./flow.js";
import "./moments.js";
import "./columns.js";
import "./table.js";

const api = globalThis.pushforward;
export const { read, Flow, Mixture, Table, logSumExp } = api;
export default api;
